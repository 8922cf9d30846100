"""What a patching sweep costs and what it may cost. A sweep beyond its budget is refused before it is run.

Example: 3 corrupted prompts are drawn, and each sweep runs 100 cells. The cost is that of 4 traces (the clean prompt's
and 3 others), 300 cells and 6 re-checks, 2 for each prompt; the memory is that of the largest of the 3 sweeps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from backend.analyses.cost.machine import machine_of
from backend.analyses.cost.work import Work, one_pass, swept, traced
from backend.analyses.patching.schema import PATCHING
from backend.contract.errors import ResourceError
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cost, Estimate, cost_of, one_after_other
from backend.engine.sweep.batching import budget_for
from backend.models.memory import megabytes

RECHECKED = 3
"""How many cells of a request are re-checked by passes of the whole model."""


@dataclass(frozen=True)
class Budget:
    """Limits of a sweep. If `bytes` is None, it is a quarter of the memory that is free."""

    seconds: float
    bytes: int | None

    def settled(self, instrument: Instrument) -> "Budget":
        """With the memory that is free now as its limit, so that the sweep keeps to what was checked before it."""
        return self if self.bytes is not None else replace(self, bytes=budget_for(instrument))


@dataclass(frozen=True)
class Sweeps:
    """The sweeps of one request before they are run, one for each corrupted prompt of about `tokens` tokens."""

    tokens: int
    estimates: Sequence[Estimate]


@dataclass(frozen=True)
class SweepCost:
    """What the sweeps of a request take.

    Attributes:
        seconds: all of them together.
        bytes: the most memory at a time, without the traces.
        allowed_bytes: the memory that they may take.
        cells: how many cells are run.
    """

    seconds: float
    bytes: int
    allowed_bytes: int
    cells: int

    @property
    def in_words(self) -> str:
        """Seconds and memory: "about 3 min 2 s and 24.1 MB"."""
        return f"about {spoken(self.seconds)} and {megabytes(self.bytes)}"


def chosen_budget(data: Mapping[str, float]) -> Budget:
    """The budget of `{"seconds": 600, "megabytes": 500}`; the memory may be missing."""
    memory = data.get("megabytes")
    return Budget(data["seconds"], None if memory is None else round(memory * 1e6))


def rechecks_of(sweeps: int) -> int:
    """How many cells of each sweep are re-checked: at least 2."""
    return max(2, RECHECKED // sweeps)


def sweep_work(sizes: Cost, sweeps: Sweeps) -> Work:
    """Traces, cells and re-checks of all sweeps. The memory is that of the sweeps alone."""
    whole = one_after_other(sweeps.estimates)
    count = len(sweeps.estimates)
    rechecked = sum(min(rechecks_of(count), estimate.cells) for estimate in sweeps.estimates)
    total = traced(sizes, sweeps.tokens) * (1 + count) + one_pass(sizes, sweeps.tokens) * rechecked
    total += swept(sizes, whole.flops, whole.rows, whole.cells)
    return replace(total, held=whole.peak_bytes)


def sweep_cost(instrument: Instrument, sweeps: Sweeps) -> SweepCost:
    """What the sweeps take on this machine: the same seconds as the analysis `cost` gives."""
    work, whole = sweep_work(cost_of(instrument), sweeps), one_after_other(sweeps.estimates)
    seconds = PATCHING.overhead * machine_of(instrument).seconds(work)
    return SweepCost(seconds, whole.peak_bytes, whole.budget_bytes, whole.cells)


def within(budget: Budget, cost: SweepCost) -> bool:
    """Whether sweeps keep to their time and their memory."""
    return cost.seconds <= budget.seconds and cost.bytes <= cost.allowed_bytes


def refuse_beyond(budget: Budget, cost: SweepCost, what_fits: Callable[[], str]) -> None:
    """Raise ResourceError for sweeps beyond their budget; `what_fits` gives a sentence on a part that would fit."""
    if within(budget, cost):
        return
    more = ["more time"] if cost.seconds > budget.seconds else []
    if cost.bytes > cost.allowed_bytes:
        more.append(f"{megabytes(cost.bytes)} of memory")
    raise ResourceError(
        f"This sweep runs {cost.cells:,} cells: {cost.in_words} on this machine. Its budget is "
        f"{spoken(budget.seconds)} and {megabytes(cost.allowed_bytes)}. {what_fits()} All of it needs "
        f"{' and '.join(more)}."
    )


def refuse_long(budget: Budget, work: Work, instrument: Instrument) -> None:
    """Raise ResourceError for patching over questions that would take longer than the budget."""
    seconds = PATCHING.overhead * machine_of(instrument).seconds(work)
    if seconds > budget.seconds:
        raise ResourceError(
            f"Patching all of these questions takes about {spoken(seconds)} on this machine; the budget is "
            f"{spoken(budget.seconds)}. Take fewer questions, the final token only, or a larger budget."
        )


def spoken(seconds: float) -> str:
    """A time in words.

    >>> spoken(4.2), spoken(75), spoken(7200)
    ('4 s', '1 min 15 s', '2 h 0 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
