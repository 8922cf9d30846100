"""Low-rank subspaces of a head's queries, keys and values."""
