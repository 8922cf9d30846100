"""How long a sweep may take and how much memory it may use; one that would not fit is refused before it is run."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.engine.instrument import Instrument
from backend.engine.sweep import Estimate, Experiment, cost_of, machine_speed
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
    instrument: Instrument, budget: Budget, found: Estimate, tokens: int, run: list[Experiment]
) -> None:
    """Raise ResourceError, with what would fit, for a sweep that takes too long."""
    seconds = expected_seconds(instrument, found.flops)
    if seconds <= budget.seconds:
        return
    raise ResourceError(
        f"This sweep runs {found.cells:,} cells: about {spoken(seconds)} and {found.peak_bytes / 1e6:.0f} MB on this "
        f"machine. Its budget is {spoken(budget.seconds)}. {_what_fits(instrument, budget, tokens, run)}"
    )


def _what_fits(instrument: Instrument, budget: Budget, tokens: int, run: list[Experiment]) -> str:
    """How many of the last tokens can be swept in time."""
    cost, fits, total = cost_of(instrument), 0, 0.0
    by_position: dict[int, float] = {}
    for experiment in run:
        flops = cost.flops(tokens, experiment)
        by_position[experiment.position] = by_position.get(experiment.position, 0.0) + flops
    for position in sorted(by_position, reverse=True):
        total += by_position[position]
        if expected_seconds(instrument, total) > budget.seconds:
            break
        fits = tokens - position
    if fits == 0:
        return "Give it more time, or choose a component without heads."
    return f"Positions {tokens - fits} to {tokens - 1} alone would fit; or give it more time."


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
