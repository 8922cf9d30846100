"""How nodes act together: total, direct and indirect effects, and paths between nodes."""
