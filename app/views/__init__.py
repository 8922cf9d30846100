"""One page a file: controls, one call of the backend, figures."""
