"""How a sweep is split: passes small enough for the memory, and for something to be done every few seconds."""

from backend.engine.instrument import Instrument
from backend.engine.sweep.cost import cost_of
from backend.engine.sweep.experiment import Experiment
from backend.errors import ResourceError
from backend.models.memory import available_memory

PASS_FLOPS = 1.2e12
"""About six seconds of a small machine. In the first layers of a pass few cells are under way and the matrices
small, so that shorter passes are slower ones."""
BATCH_ROWS = 1344
"""The most rows of a call; two thirds of it are usual, enough for the full speed of matrix products. More rows leave
the caches and delay a cancel."""


def budget_for(instrument: Instrument) -> int:
    """A quarter of the memory that is free now, in bytes."""
    return available_memory(instrument.resolved.device) // 4


def batch_rows(instrument: Instrument, tokens: int, budget: int) -> int:
    """How many rows one call takes: half of the budget, no more than is good for speed."""
    return max(1, min(BATCH_ROWS, budget // 2 // cost_of(instrument).row_bytes(tokens)))


def passes(
    instrument: Instrument, tokens: int, experiments: list[Experiment], budget: int
) -> list[list[Experiment]]:
    """Experiments split into passes, late positions first: they are cheap, and the most telling.

    Raises ResourceError where half of the budget has no room for the rows of one experiment.
    """
    cost, room = cost_of(instrument), budget // 2
    split: list[list[Experiment]] = []
    used_flops, used_bytes = 0.0, 0
    for experiment in sorted(experiments, key=lambda experiment: -experiment.position):
        need_flops, need_bytes = cost.flops(tokens, experiment), cost.state_bytes(tokens, experiment)
        if need_bytes > room:
            raise ResourceError(
                f"Patching at position {experiment.position} needs {2 * need_bytes / 1e6:.0f} MB and the budget is "
                f"{budget / 1e6:.0f} MB. Give it more, or take later positions."
            )
        if not split or used_bytes + need_bytes > room or used_flops + need_flops > PASS_FLOPS:
            split.append([])
            used_flops, used_bytes = 0.0, 0
        split[-1].append(experiment)
        used_flops, used_bytes = used_flops + need_flops, used_bytes + need_bytes
    return split
