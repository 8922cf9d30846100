"""How a sweep is split into passes and batches.

A pass is some experiments that go up the layers together; it is small enough for the memory, and for results every few
seconds. A batch is the rows of one call of a layer. Half of the budget is for the states of a pass, half for a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.errors import ResourceError
from backend.engine.instrument import Instrument
from backend.engine.sweep.cost import cost_of
from backend.engine.sweep.experiment import Experiment
from backend.models.memory import available_memory, megabytes


@dataclass(frozen=True)
class Limits:
    """The largest batch and pass, if memory allows it.

    Attributes:
        rows: rows of one call of a layer.
        flops: floating-point operations of one pass: about 15 seconds.
    """

    rows: int
    flops: float

    def pass_flops(self, before: int) -> float:
        """The limit of a pass after `before` others. The first two are shorter, so that results are seen soon."""
        return self.flops * min(1, (before + 1) / 3)


PROCESSOR = Limits(rows=1344, flops=3e12)
"""Shorter passes would be slower: in the first layers of a pass few experiments have entered, and matrices are small. A
batch usually has two thirds of the rows, which is enough for the full speed of matrix products; more rows would not fit
into the processor's caches, and would delay a cancel."""
CARD = Limits(rows=16384, flops=1e15)
"""For a graphics card: taken from a data sheet, not measured."""

LEAST_ROWS = 64
"""A budget must be enough for batches of this many rows, if a sweep has as many. With smaller batches it would be much
slower than estimated: sweeps of the 0.5B model took 1.3 to 1.5 times as long with 64 rows as with 344, 2.1 to 3.3 times
with 16, and 8 to 11 times with 4. 64 rows of a prompt of 43 tokens are 22 MB of budget."""

SET_ASIDE_BYTES = 64_000_000
"""The part of a budget on the processor that is set aside for memory that the process keeps: kernels compiled by oneDNN
(half a megabyte for each matrix and number of rows) and freed blocks. With small budgets we measured 20 to 50 MB."""


def limits_of(device: str) -> Limits:
    """Limits for a kind of device: cpu, cuda, mps or offload."""
    return PROCESSOR if device == "cpu" else CARD


def budget_for(instrument: Instrument) -> int:
    """A quarter of the memory that is free now, in bytes; of several devices the fullest counts: a pass visits all."""
    return min(map(available_memory, instrument.layers_on)) // 4


def set_aside(instrument: Instrument) -> int:
    """How much of a budget is set aside, in bytes; see SET_ASIDE_BYTES."""
    return SET_ASIDE_BYTES if instrument.resolved.device == "cpu" else 0


def batch_rows(instrument: Instrument, tokens: int, budget: int) -> int:
    """The most rows of one call: as many as fit into half of the budget, but no more than is good for speed."""
    fit = _half(instrument, budget) // cost_of(instrument).row_bytes(tokens)
    return max(1, min(limits_of(instrument.resolved.device).rows, fit))


def rows_at_once(tokens: int, experiments: Sequence[Experiment]) -> int:
    """The most rows of some experiments that can go through a layer together."""
    return sum(tokens - experiment.position for experiment in experiments)


def least_budget(instrument: Instrument, tokens: int, experiments: Sequence[Experiment]) -> int:
    """The least budget that experiments can be run with, in bytes.

    Half of it, without what is set aside, must be enough for a call with the longest experiment, and for one with
    `LEAST_ROWS` rows. A call takes more memory than the state of the same rows, so the other half is enough for that.
    """
    if not experiments:
        return 0
    cost, first = cost_of(instrument), min(experiment.position for experiment in experiments)
    rows = min(LEAST_ROWS, rows_at_once(tokens, experiments))
    half = max(cost.call_bytes(tokens, tokens - first), rows * cost.row_bytes(tokens))
    return set_aside(instrument) + 2 * half


def check_budget(instrument: Instrument, tokens: int, experiments: Sequence[Experiment], budget: int) -> None:
    """Raise ResourceError if a budget is smaller than `least_budget`."""
    least = least_budget(instrument, tokens, experiments)
    if budget < least:
        raise ResourceError(
            f"Patching needs at least {megabytes(least)} of memory here and may take {megabytes(budget)}: a quarter of "
            "what is free, or what it was given. Close other programs, or take a shorter prompt."
        )


def passes(
    instrument: Instrument, tokens: int, experiments: Sequence[Experiment], budget: int
) -> list[list[Experiment]]:
    """Experiments split into passes, late positions first: they are cheap, and usually the ones that matter.

    The states of a pass fit into half of the budget, which must be `least_budget` or more.
    """
    cost, memory = cost_of(instrument), _half(instrument, budget)
    limits = limits_of(instrument.resolved.device)
    split: list[list[Experiment]] = []
    used_flops, used_bytes = 0.0, 0
    for experiment in sorted(experiments, key=lambda experiment: -experiment.position):
        need_flops, need_bytes = cost.flops(tokens, experiment), cost.state_bytes(tokens, experiment)
        if (
            not split
            or used_bytes + need_bytes > memory
            or used_flops + need_flops > limits.pass_flops(len(split) - 1)
        ):
            split.append([])
            used_flops, used_bytes = 0.0, 0
        split[-1].append(experiment)
        used_flops, used_bytes = used_flops + need_flops, used_bytes + need_bytes
    return split


def _half(instrument: Instrument, budget: int) -> int:
    return max(0, budget - set_aside(instrument)) // 2
