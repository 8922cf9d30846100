"""Activation patching over many cells: the exact causal cone, and plain forward passes as its oracle."""

from backend.engine.sweep.cells import COMPONENTS, Cell, Component, Node, all_cells
from backend.engine.sweep.cost import Estimate, matrix_speed
from backend.engine.sweep.kept import OnDone, Swept
from backend.engine.sweep.sweep import changing, estimate, first_difference, recheck, sweep, sweep_sets

__all__ = [
    "COMPONENTS",
    "Cell",
    "Component",
    "Estimate",
    "Node",
    "OnDone",
    "Swept",
    "all_cells",
    "changing",
    "estimate",
    "first_difference",
    "matrix_speed",
    "recheck",
    "sweep",
    "sweep_sets",
]
