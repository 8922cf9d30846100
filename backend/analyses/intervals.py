"""95 % intervals: Wilson's for a share, the normal one for a mean."""

from collections.abc import Iterable
from math import isnan
from typing import Any, SupportsFloat

import numpy as np

from backend.analyses.findings import array
from backend.contract.result import Array
from backend.results.bootstrap import letters_alike as letters_alike

Z95 = 1.959964
ENDS = ("", "_low", "_high")
"""What the arrays of a mean and its interval are called, after their name."""
SHARES = ("accuracy", "right_top")
"""Figures that are 0 or 1 of each question."""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def share_interval(hits: float, count: int) -> tuple[float, float, float]:
    """A share with its Wilson score interval (Wilson 1927): (share, low, high).

    >>> [round(value, 3) for value in share_interval(8, 10)]
    [0.8, 0.49, 0.943]
    """
    share = hits / count
    spread = Z95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 * np.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return share, float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


def share_intervals(samples: Floats) -> tuple[Floats, Floats, Floats]:
    """`share_interval` over the first axis of samples that are 0 or 1."""
    ends = [share_interval(int(hits), len(samples)) for hits in samples.sum(axis=0).ravel()]
    share, low, high = np.array(ends).T
    shape = samples.shape[1:]
    return share.reshape(shape), low.reshape(shape), high.reshape(shape)


def mean_interval(samples: Floats, weights: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """Means over the first axis with a normal interval: (mean, low, high). One sample has no interval: NaN.

    `weights` of the samples sum to 1; the variance is that of a weighted mean (Cochran 1977, section 6.3), and without
    weights the sample variance over n.
    """
    count = len(samples)
    weights = np.full(count, 1 / count) if weights is None else weights
    samples = samples.astype(np.float64)
    mean = np.tensordot(weights, samples, axes=1)
    if count < 2:
        nothing = np.full_like(mean, np.nan)
        return mean, nothing, nothing
    half = Z95 * np.sqrt(np.tensordot(weights**2, (samples - mean) ** 2, axes=1) * count / (count - 1))
    return mean, np.asarray(mean - half), np.asarray(mean + half)


def interval_of(name: str, samples: Floats) -> tuple[Floats, Floats, Floats]:
    """`share_intervals` of a figure in `SHARES`, `mean_interval` of any other."""
    return share_intervals(samples) if name in SHARES else mean_interval(samples)


def with_ends(name: str, interval: Iterable[Floats], axes: tuple[str, ...], unit: str) -> dict[str, Array]:
    """A value's array and those of its interval's ends, by their names."""
    return {f"{name}{end}": array(values, axes, unit) for end, values in zip(ENDS, interval, strict=True)}


def as_scalar(interval: Iterable[SupportsFloat]) -> dict[str, float | None]:
    """A value with its interval as a result's scalar; the ends are None where there is no interval."""
    value, low, high = map(float, interval)
    known = not isnan(low)
    return {"value": value, "low": low if known else None, "high": high if known else None}
