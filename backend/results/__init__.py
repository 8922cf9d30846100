"""Requests, results, and the store that keeps results on disk. A leaf: it knows nothing of models."""
