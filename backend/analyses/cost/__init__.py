"""How long an analysis takes on this machine, and how much memory."""
