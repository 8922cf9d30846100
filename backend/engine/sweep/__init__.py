"""Activation patching of many cells: the exact causal cone, and passes of the whole model as its oracle."""

from backend.engine.sweep.cells import Cell, Node, all_cells, components_of
from backend.engine.sweep.cost import Cost, cost_of
from backend.engine.sweep.estimate import Estimate, estimate, one_after_other
from backend.engine.sweep.experiment import Experiment, Sweep, each_alone, experiments
from backend.engine.sweep.final_rows import FinalInputs, FinalRows, check_rows
from backend.engine.sweep.final_sets import (
    CLEAN,
    LIVE,
    REPLACED,
    FinalOutputs,
    FinalRun,
    FinalSets,
    States,
    outputs_of,
    readout_of,
    recheck_final_sets,
    run_final_sets,
)
from backend.engine.sweep.partial_results import OnDone, Swept
from backend.engine.sweep.readout import Wanted, unembedded
from backend.engine.sweep.recheck import recheck
from backend.engine.sweep.several import run_sweeps
from backend.engine.sweep.source import Match, OwnValues, Pairing, RunSource, Source, run_source
from backend.engine.sweep.stream_pass import (
    RESIDUAL,
    PatchedStream,
    patched_stream,
    whole_patched_stream,
)
from backend.engine.sweep.sweep import run_sweep

__all__ = [
    "CLEAN",
    "LIVE",
    "REPLACED",
    "RESIDUAL",
    "Cell",
    "Cost",
    "Estimate",
    "Experiment",
    "FinalInputs",
    "FinalOutputs",
    "FinalRows",
    "FinalRun",
    "FinalSets",
    "Match",
    "Node",
    "OnDone",
    "OwnValues",
    "Pairing",
    "PatchedStream",
    "RunSource",
    "Source",
    "States",
    "Sweep",
    "Swept",
    "Wanted",
    "all_cells",
    "check_rows",
    "components_of",
    "cost_of",
    "each_alone",
    "estimate",
    "experiments",
    "one_after_other",
    "outputs_of",
    "patched_stream",
    "readout_of",
    "recheck",
    "recheck_final_sets",
    "run_final_sets",
    "run_source",
    "run_sweep",
    "run_sweeps",
    "unembedded",
    "whole_patched_stream",
]
