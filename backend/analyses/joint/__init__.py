"""Several heads replaced together."""
