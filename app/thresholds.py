"""The thresholds of head classes in the address: those that are not at their usual values, as `gap:0.2,mass:0.4`."""

import math
from dataclasses import dataclass, fields, replace

from backend.contract.errors import RequestError, shown
from backend.results.head_classes import Thresholds


@dataclass(frozen=True)
class Range:
    """A slider: its ends, its step, and what stands above it."""

    low: float
    high: float
    step: float
    title: str


RANGES = {
    "mass": Range(0, 1, 0.05, "Attention to labels, at least"),
    "gap": Range(0, 1, 0.05, "Gap of a letter, at least"),
    "top": Range(0, 1, 0.05, "Share of questions where the right label gets most, more than"),
    "entropy": Range(0, 1, 0.05, "Constant: entropy of the shares, at least"),
    "even": Range(0, 0.5, 0.01, "Constant: right share within this of 1/n"),
    "last": Range(0, 1, 0.05, "Amplification: attention to suffix and final token, at least"),
    "leader": Range(0, 0.5, 0.01, "Amplification: logits for the leading letter, at least"),
    "total": Range(0, 1, 0.01, "Gatherer, mediator: total effect in logits, at least"),
    "ratio": Range(1, 10, 0.5, "Gatherer, mediator: total effect at least so many times the direct one"),
    "fixed": Range(0, 1, 0.05, "Fixed letter: share on it where it is wrong, at least"),
    "fixed_net": Range(0, 2, 0.05, "Fixed letter: size of its net effect in logits, at least"),
    "negative": Range(0, 1, 0.01, "Negative: net effect in logits, at most minus this"),
}
"""Every threshold by its name."""
USUAL = Thresholds()


def parsed(text: str) -> Thresholds:
    """The thresholds of a text. Raises RequestError for an unknown name, a bad number, and one given twice."""
    found: dict[str, float] = {}
    for part in text.split(",") if text else ():
        name, _, number = part.partition(":")
        if name not in RANGES or name in found:
            raise RequestError(
                f"thresholds must be like gap:0.2,mass:0.4, each name once, of {', '.join(RANGES)}; not {shown(text)}."
            )
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        ends = RANGES[name]
        if not ends.low <= value <= ends.high:
            raise RequestError(
                f"The threshold {name} must be a number from {ends.low:g} to {ends.high:g}, not {shown(number)}."
            )
        found[name] = value
    return replace(USUAL, **found)


def written(thresholds: Thresholds) -> str:
    """The text of thresholds: `parsed(written(thresholds)) == thresholds`.

    >>> written(Thresholds(gap=0.2)), written(Thresholds())
    ('gap:0.2', '')
    """
    changed = {field.name: getattr(thresholds, field.name) for field in fields(thresholds)}
    return ",".join(
        f"{name}:{value:.12g}" for name, value in changed.items() if value != getattr(USUAL, name)
    )


def reader(name: str, text: str) -> str:
    """The text in its one form. Raises RequestError as `parsed` does."""
    return written(parsed(text))
