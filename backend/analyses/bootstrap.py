"""Means and shares over questions with bootstrap intervals, and how often chance alone would give as much."""

from typing import Any

import numpy as np

RESAMPLES = 1000
FLIPS = 2000
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def share_of_means(
    values: Floats, clean: Floats, empty: Floats, weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """(value - empty) / (clean - empty) of the means over questions, with a 95 % bootstrap interval.

    The ratio of means, not the mean of ratios, which one question with a small denominator would decide. One question
    has no interval: NaN. A value that is NaN is left out, and so are clean and empty of its question there.

    Args:
        values: `[question, ...]`.
        clean, empty, weights: `[question]`.

    >>> share, low, high = share_of_means(np.array([[1.0], [3.0]]), np.array([2.0, 4]), np.zeros(2), np.ones(2))
    >>> share.round(3).tolist()
    [0.667]
    """
    span = (clean - empty).astype(np.float64)
    return _ratios(values, empty.astype(np.float64), span, weights)


def mean_over_questions(values: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weighted means over the first axis with a 95 % bootstrap interval; NaN for one question's. NaNs are left out."""
    return _ratios(values, np.zeros(len(values)), np.ones(len(values)), weights)


def sign_flip_p(effects: Floats, weights: Floats) -> Floats:
    """For effects `[question, ...]`: how often a mean at least as far from 0 comes from random signs of the questions.

    The smallest possible value is 1 / (FLIPS + 1). NaN where no question has a value.

    >>> float(sign_flip_p(np.ones((12, 1)), np.ones(12))[0]) < 0.01
    True
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (FLIPS, len(effects)))
    own = weights / weights.sum()
    flat = np.nan_to_num(effects.reshape(len(effects), -1).astype(np.float64))
    seen = np.abs(own @ flat)
    as_far = [
        (np.abs((signs * own) @ part) >= seen[first : first + COLUMNS] * (1 - 1e-9)).sum(0)
        for first, part in _columns(flat)
    ]
    counts = np.concatenate(as_far) if as_far else np.zeros(0)
    p = np.asarray((1 + counts) / (1 + FLIPS)).reshape(effects.shape[1:])
    return np.where(np.isnan(effects).all(0), np.nan, p)


COLUMNS = 4096
"""So many values are computed at a time, so that a bank of many questions and cells fits into memory."""


def _resampled(weights: Floats) -> Floats:
    """Weights of the questions as they are, then of each resample; each row sums to 1, `[1 + resample, question]`."""
    count = len(weights)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    every = np.concatenate([np.ones((1, count)), drawn]) * weights
    return np.asarray(every / every.sum(1, keepdims=True))


def _columns(flat: Floats) -> list[tuple[int, Floats]]:
    return [(first, flat[:, first : first + COLUMNS]) for first in range(0, flat.shape[1], COLUMNS)]


def _ratios(values: Floats, empty: Floats, span: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """The mean of (value - empty) over the mean of span, over the questions that have a value."""
    every, shape = _resampled(weights), values.shape[1:]
    flat = values.reshape(len(values), -1).astype(np.float64)
    found = np.full((3, flat.shape[1]), np.nan)
    for first, part in _columns(flat):
        there = ~np.isnan(part)
        above = np.where(there, part - empty[:, None], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = (every @ above) / (every @ (there * span[:, None]))
        found[0, first : first + COLUMNS] = drawn[0]
        known = there.any(0)
        if len(values) > 1 and known.any():
            ends = np.nanquantile(drawn[1:, known], (0.025, 0.975), axis=0)
            found[1:, first : first + COLUMNS][:, known] = ends
    value, low, high = (each.reshape(shape) for each in found)
    return value, low, high
