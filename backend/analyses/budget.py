"""How long a sweep may take and how much memory it may use; one that would not fit is refused before it is run."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.engine.instrument import Instrument
from backend.engine.sweep import Estimate, machine_speed
from backend.errors import RequestError, ResourceError, shown

OVERHEAD = 1.3
"""Seconds of a sweep for a second of its floating-point operations at the speed of matrix products; measured."""
DEFAULT_SECONDS = 3600.0
MOST = 1e9
"""Of seconds 32 years, of megabytes a petabyte."""


@dataclass(frozen=True)
class Budget:
    """Limits; `bytes` None is a quarter of what is free."""

    seconds: float
    bytes: int | None


def chosen_budget(data: object) -> Budget:
    """Read `{"seconds": 600, "megabytes": 500}`, either may be left out. Raises RequestError."""
    if not isinstance(data, Mapping) or not data.keys() <= {"seconds", "megabytes"}:
        raise RequestError(f"params.budget must be an object with seconds and megabytes, not {shown(data)}.")
    for name, value in data.items():
        if type(value) not in (int, float) or not 0 < value <= MOST:
            raise RequestError(
                f"params.budget.{name} must be a number above 0, at most {MOST:,.0f}, not {shown(value)}."
            )
    megabytes = data.get("megabytes")
    return Budget(
        float(data.get("seconds", DEFAULT_SECONDS)), None if megabytes is None else int(megabytes * 1e6)
    )


def expected_seconds(instrument: Instrument, flops: float) -> float:
    """How long a sweep of so many floating-point operations takes on this machine, as a rule."""
    return OVERHEAD * flops / machine_speed(instrument)


def refuse_beyond(
    instrument: Instrument, budget: Budget, found: Estimate, flops: Mapping[int, float]
) -> None:
    """Raise ResourceError, with what would fit, for a sweep that takes too long.

    `flops` are what the cells at each position of the clean prompt cost.
    """
    seconds = expected_seconds(instrument, found.flops)
    if seconds <= budget.seconds:
        return
    raise ResourceError(
        f"This sweep runs {found.cells:,} cells: about {spoken(seconds)} and {found.peak_bytes / 1e6:.0f} MB on this "
        f"machine. Its budget is {spoken(budget.seconds)}. {_what_fits(instrument, budget, flops)}"
    )


def _what_fits(instrument: Instrument, budget: Budget, flops: Mapping[int, float]) -> str:
    """Which of the last positions can be swept in time."""
    fits, total = [], 0.0
    for position in sorted(flops, reverse=True):
        total += flops[position]
        if expected_seconds(instrument, total) > budget.seconds:
            break
        fits.append(position)
    if not fits:
        return "Give it more time, or choose a component without heads."
    return f"Positions {fits[-1]} to {fits[0]} alone would fit; or give it more time."


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
