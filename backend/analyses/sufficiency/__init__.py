"""How many heads and MLPs are enough for the answer."""
