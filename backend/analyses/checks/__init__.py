"""Whether a model can be trusted here: its self-check, its answers, its readings."""
