"""Means over questions with 95 % intervals by the bootstrap: the percentiles of means over questions drawn again.

Efron 1979; the plain percentile interval. With few questions it is somewhat too narrow.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
DRAWS = 1000
ENDS = (2.5, 97.5)
CELLS = 16_384
"""So many means are drawn again at a time, which bounds the memory: 64 MB for 1,000 draws."""


def letters_alike(rights: Sequence[int]) -> Floats:
    """Weights of questions by their right labels, `[question]`, so that each label that is right weighs the same.

    >>> letters_alike([0, 0, 0, 1]).round(3).tolist()
    [0.167, 0.167, 0.167, 0.5]
    """
    counts = Counter(rights)
    return np.array([1 / (len(counts) * counts[right]) for right in rights])


def mean_and_ends(
    samples: Floats, weights: Floats, draws: int = DRAWS, seed: int = 0
) -> tuple[Floats, Floats, Floats]:
    """The weighted mean of `samples[question, ...]` and the ends of its 95 % interval; each `[...]`, float32.

    The weights of the questions that a draw contains are scaled to sum to 1. Without a question all three are NaN, with
    one question both ends are.
    """
    count, shape = len(samples), samples.shape[1:]
    if count == 0:
        nothing = np.full(shape, np.nan, np.float32)
        return nothing, nothing, nothing
    flat = samples.reshape(count, -1).astype(np.float32)
    mean = (weights.astype(np.float64) / weights.sum() @ flat).astype(np.float32).reshape(shape)
    if count == 1:
        nothing = np.full(shape, np.nan, np.float32)
        return mean, nothing, nothing
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=draws) * weights
    drawn = np.asarray(drawn / drawn.sum(axis=1, keepdims=True), np.float32)
    ends = [np.empty(flat.shape[1], np.float32) for _ in ENDS]
    indices = [round(end / 100 * (draws - 1)) for end in ENDS]
    for first in range(0, flat.shape[1], CELLS):
        part = slice(first, first + CELLS)
        means = np.partition(np.ascontiguousarray((drawn @ flat[:, part]).T), indices, axis=1)
        for end, index in zip(ends, indices, strict=True):
            end[part] = means[:, index]
    low, high = (end.reshape(shape) for end in ends)
    return mean, low, high
