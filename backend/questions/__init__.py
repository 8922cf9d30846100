"""Questions, banks of them, and the prompts they become. A leaf: it knows nothing of models."""
