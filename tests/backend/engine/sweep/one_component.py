"""Sweeps of one component, each cell alone: what most tests run."""

from collections.abc import Sequence
from typing import Any

from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, Match, Sweep, Swept, Wanted, each_alone, run_source, run_sweep

Ids = tuple[int, ...]


def sweep_cells(
    instrument: Instrument,
    base_ids: Ids,
    source_ids: Ids,
    component: str,
    cells: Sequence[Cell],
    token_ids: Ids,
    *,
    match: Match | None = None,
    vocabulary: bool = False,
    **how: Any,
) -> Swept:
    """Patch each cell alone, with the value of the source run; `how` is passed on to `run_sweep`."""
    source = run_source(instrument, base_ids, source_ids, match)
    sweep = Sweep(base_ids, source, each_alone(component, cells), Wanted(token_ids, vocabulary))
    return run_sweep(instrument, sweep, **how)
