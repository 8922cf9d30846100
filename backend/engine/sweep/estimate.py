"""What a sweep costs, worked out before it is run."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.progress import Progress, silent
from backend.engine.instrument import Instrument
from backend.engine.products import kernel_rows
from backend.engine.sweep.batching import (
    batch_rows,
    budget_for,
    least_budget,
    passes,
    rows_at_once,
    set_aside,
)
from backend.engine.sweep.cost import cost_of
from backend.engine.sweep.experiment import Experiment, Sets, experiments
from backend.engine.sweep.source import Ids, Patchable

MESSAGE = "Counting the operations"


@dataclass(frozen=True)
class Estimate:
    """The cost of a sweep.

    Attributes:
        flops: floating-point operations of the cones: the least that recomputing them takes.
        rows: how many rows go through a layer, summed over the layers.
        peak_bytes: the most memory it takes at a time, without the two traces. If the budget is too little for it, the
            least memory that is enough.
        budget_bytes: the memory that it may take.
        cells: how many experiments have to be run.
    """

    flops: float
    rows: int
    peak_bytes: int
    budget_bytes: int
    cells: int

    def seconds(self, speed: float) -> float:
        """The least time it takes, in seconds, at `speed` floating-point operations a second."""
        return self.flops / speed


def estimate(
    instrument: Instrument,
    base_ids: Ids,
    source: Patchable,
    sets: Sets,
    budget_bytes: int | None = None,
    progress: Progress = silent,
) -> Estimate:
    """What `run_sweep` of the same costs, whether or not its budget is enough.

    Raises:
        RequestError: as `run_sweep` does.
        Cancelled: `progress` raised it; it is called before each of three parts.
    """
    tokens, cost = len(base_ids), cost_of(instrument)
    progress(MESSAGE)
    run = experiments(instrument, base_ids, source, sets)
    progress(MESSAGE)
    flops = sum(cost.flops(tokens, experiment) for experiment in run)
    rows = sum(cost.row_layers(tokens, experiment) for experiment in run)
    progress(MESSAGE)
    budget = budget_for(instrument) if budget_bytes is None else budget_bytes
    return Estimate(flops, rows, _peak_bytes(instrument, tokens, run, budget), budget, len(run))


def one_after_other(parts: Sequence[Estimate]) -> Estimate:
    """The cost of sweeps that are run in turn, with one budget of memory."""
    return Estimate(
        flops=sum(part.flops for part in parts),
        rows=sum(part.rows for part in parts),
        peak_bytes=max(part.peak_bytes for part in parts),
        budget_bytes=parts[0].budget_bytes,
        cells=sum(part.cells for part in parts),
    )


def _peak_bytes(instrument: Instrument, tokens: int, run: list[Experiment], budget: int) -> int:
    cost, least = cost_of(instrument), least_budget(instrument, tokens, run)
    if cost.whole_model:
        return cost.call_bytes(tokens, tokens) if run else 0
    if budget < least or not run:
        return least
    states = [
        sum(cost.state_bytes(tokens, experiment) for experiment in part)
        for part in passes(instrument, tokens, run, budget)
    ]
    rows = min(batch_rows(instrument, tokens, budget), kernel_rows(rows_at_once(tokens, run)))
    longest = cost.call_bytes(tokens, tokens - min(experiment.position for experiment in run))
    return set_aside(instrument) + max(states) + max(rows * cost.row_bytes(tokens), longest)
