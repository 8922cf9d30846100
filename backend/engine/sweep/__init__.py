"""Activation patching over many cells: the exact causal cone, and plain forward passes as its oracle."""

from backend.engine.sweep.cells import COMPONENTS, Cell, Component, Node, all_cells, components_of
from backend.engine.sweep.cost import (
    Cost,
    Estimate,
    cost_of,
    machine_speed,
    matrix_speed,
    one_after_other,
    timed_product,
)
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.final_rows import FinalInputs, FinalRows, check_rows
from backend.engine.sweep.partial_results import OnDone, Swept
from backend.engine.sweep.readout import Wanted, unembedded
from backend.engine.sweep.source import Match, OwnValues, Pairing, RunSource, Source, run_source
from backend.engine.sweep.sweep import each_alone, estimate, experiments, recheck, sweep, sweep_sets

__all__ = [
    "COMPONENTS",
    "Cell",
    "Component",
    "Cost",
    "Estimate",
    "Experiment",
    "FinalInputs",
    "FinalRows",
    "Match",
    "Node",
    "OnDone",
    "OwnValues",
    "Pairing",
    "RunSource",
    "Source",
    "Swept",
    "Wanted",
    "all_cells",
    "check_rows",
    "components_of",
    "cost_of",
    "each_alone",
    "estimate",
    "experiments",
    "machine_speed",
    "matrix_speed",
    "one_after_other",
    "recheck",
    "run_source",
    "sweep",
    "sweep_sets",
    "timed_product",
    "unembedded",
]
