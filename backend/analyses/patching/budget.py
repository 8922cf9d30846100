"""How long a sweep may take and how much memory it may use; one that would not fit is refused before it is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from backend.contract.errors import ResourceError
from backend.engine.instrument import Instrument
from backend.engine.sweep import Estimate, machine_speed
from backend.engine.sweep.batching import budget_for
from backend.models.memory import megabytes

OVERHEAD = 1.3
"""Seconds of a sweep for a second of its floating-point operations at the speed of matrix products; measured."""


@dataclass(frozen=True)
class Budget:
    """Limits; `bytes` None is a quarter of what is free."""

    seconds: float
    bytes: int | None

    def settled(self, instrument: Instrument) -> "Budget":
        """With what is free now: the sweep is then held to what it was judged by."""
        return self if self.bytes is not None else replace(self, bytes=budget_for(instrument))


def chosen_budget(data: Mapping[str, float]) -> Budget:
    """That of `{"seconds": 600, "megabytes": 500}`; the memory may be left out."""
    memory = data.get("megabytes")
    return Budget(data["seconds"], None if memory is None else round(memory * 1e6))


def expected_seconds(instrument: Instrument, flops: float) -> float:
    """How long a sweep of so many floating-point operations takes on this machine, as a rule."""
    return OVERHEAD * flops / machine_speed(instrument)


def within(instrument: Instrument, budget: Budget, found: Estimate) -> bool:
    """Whether a sweep keeps to its time and its memory."""
    seconds = expected_seconds(instrument, found.flops)
    return seconds <= budget.seconds and found.peak_bytes <= found.budget_bytes


def cost_in_words(instrument: Instrument, found: Estimate) -> str:
    """What a sweep takes: "about 3 min 2 s and 24.1 MB"."""
    return f"about {spoken(expected_seconds(instrument, found.flops))} and {megabytes(found.peak_bytes)}"


def refuse_beyond(
    instrument: Instrument, budget: Budget, found: Estimate, what_fits: Callable[[], str]
) -> None:
    """Raise ResourceError for a sweep that takes too long or too much memory; `what_fits` is a sentence on a part."""
    if within(instrument, budget, found):
        return
    more = ["more time"] if expected_seconds(instrument, found.flops) > budget.seconds else []
    if found.peak_bytes > found.budget_bytes:
        more.append(f"{megabytes(found.peak_bytes)} of memory")
    raise ResourceError(
        f"This sweep runs {found.cells:,} cells: {cost_in_words(instrument, found)} on this machine. Its budget is "
        f"{spoken(budget.seconds)} and {megabytes(found.budget_bytes)}. {what_fits()} All of it needs "
        f"{' and '.join(more)}."
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
