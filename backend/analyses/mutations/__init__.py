"""Other labels, other prompts: what a head follows."""
