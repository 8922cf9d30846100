"""How a sweep is split: passes small enough for the memory, and for something to be done every few seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.errors import ResourceError
from backend.engine.instrument import Instrument
from backend.engine.sweep.cost import cost_of
from backend.engine.sweep.experiment import Experiment
from backend.models.memory import available_memory, megabytes


@dataclass(frozen=True)
class Limits:
    """The most that is done at a time, where memory allows it.

    Attributes:
        rows: of one call of a layer.
        flops: floating-point operations of one pass: a quarter of a minute.
    """

    rows: int
    flops: float

    def pass_flops(self, before: int) -> float:
        """Of the pass that comes after so many: the first are shorter, so that something is seen soon."""
        return self.flops * min(1, (before + 1) / 3)


PROCESSOR = Limits(rows=1344, flops=3e12)
"""In the first layers of a pass few cells are under way and the matrices small, so that shorter passes are slower ones.
Two thirds of the rows are usual, enough for the full speed of matrix products; more leave the caches and delay a
cancel."""
CARD = Limits(rows=16384, flops=1e15)
"""For a graphics card, from its data sheet and not tried."""

LEAST_ROWS = 64
"""A budget must have room for so many rows of a call, if a sweep has as many: with fewer it would crawl, and no
expected time would tell. Sweeps of the small model took 1.3 to 1.5 times as long with 64 rows as with 344, 2.1 to 3.3
times with 16, 8 to 11 times with 4; and 64 rows of a prompt of 43 tokens are 22 MB of budget."""

SET_ASIDE_BYTES = 64_000_000
"""Set aside of a budget on the processor, since the process keeps it: kernels that oneDNN compiles, half a megabyte for
each matrix and number of rows, and blocks that are freed. Measured where budgets are small, it is 20 to 50 MB."""


def limits_of(device: str) -> Limits:
    """Limits for a kind of device: cpu, cuda, mps or offload."""
    return PROCESSOR if device == "cpu" else CARD


def budget_for(instrument: Instrument) -> int:
    """A quarter of the memory that is free now, in bytes; of the fullest device, since a pass goes through all."""
    return min(map(available_memory, instrument.layers_on)) // 4


def set_aside(instrument: Instrument) -> int:
    """What of a budget is set aside, in bytes."""
    return SET_ASIDE_BYTES if instrument.resolved.device == "cpu" else 0


def batch_rows(instrument: Instrument, tokens: int, budget: int) -> int:
    """How many rows one call takes: half of the memory there is, no more than is good for speed."""
    fit = _half(instrument, budget) // cost_of(instrument).row_bytes(tokens)
    return max(1, min(limits_of(instrument.resolved.device).rows, fit))


def rows_at_once(tokens: int, experiments: Sequence[Experiment]) -> int:
    """The most rows of some experiments that can go through a layer together."""
    return sum(tokens - experiment.position for experiment in experiments)


def least_budget(instrument: Instrument, tokens: int, experiments: Sequence[Experiment]) -> int:
    """The least memory that experiments can be run in, in bytes.

    Half of what is not set aside has room for the longest one in a layer, which takes more than its state, and for
    `LEAST_ROWS`.
    """
    if not experiments:
        return 0
    cost, first = cost_of(instrument), min(experiment.position for experiment in experiments)
    rows = min(LEAST_ROWS, rows_at_once(tokens, experiments))
    half = max(cost.call_bytes(tokens, tokens - first), rows * cost.row_bytes(tokens))
    return set_aside(instrument) + 2 * half


def refuse_cramped(
    instrument: Instrument, tokens: int, experiments: Sequence[Experiment], budget: int
) -> None:
    """Raise ResourceError where experiments cannot be run in a budget of memory."""
    least = least_budget(instrument, tokens, experiments)
    if budget < least:
        raise ResourceError(
            f"Patching needs at least {megabytes(least)} of memory here and may take {megabytes(budget)}: a quarter of "
            "what is free, or what it was given. Close other programs, or take a shorter prompt."
        )


def passes(
    instrument: Instrument, tokens: int, experiments: Sequence[Experiment], budget: int
) -> list[list[Experiment]]:
    """Experiments split into passes, late positions first: they are cheap, and the most telling.

    The states of a pass take half of what is not set aside of the budget, which must be `least_budget` or more.
    """
    cost, room = cost_of(instrument), _half(instrument, budget)
    limits = limits_of(instrument.resolved.device)
    split: list[list[Experiment]] = []
    used_flops, used_bytes = 0.0, 0
    for experiment in sorted(experiments, key=lambda experiment: -experiment.position):
        need_flops, need_bytes = cost.flops(tokens, experiment), cost.state_bytes(tokens, experiment)
        if (
            not split
            or used_bytes + need_bytes > room
            or used_flops + need_flops > limits.pass_flops(len(split) - 1)
        ):
            split.append([])
            used_flops, used_bytes = 0.0, 0
        split[-1].append(experiment)
        used_flops, used_bytes = used_flops + need_flops, used_bytes + need_bytes
    return split


def _half(instrument: Instrument, budget: int) -> int:
    return max(0, budget - set_aside(instrument)) // 2
