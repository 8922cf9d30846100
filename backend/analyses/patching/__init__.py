"""Activation patching: exact sweeps, and estimates from gradients."""
