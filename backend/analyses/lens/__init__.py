"""What the residual stream says at each layer and position, and what a run says when some of it is replaced."""
