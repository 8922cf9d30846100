"""The engine: runs the model and records or changes what happens inside. Torch tensors stay in here."""
