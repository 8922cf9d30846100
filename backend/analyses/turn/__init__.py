"""One question whose letter one head is made to turn."""
