"""Shares over questions and their intervals, and which random sets are drawn. numpy only."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 1000
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
NodeSet = frozenset[int]
"""Nodes by index: layer x heads + head for heads, then the MLPs."""


def recovered(values: Floats, clean: Floats, empty: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """(value - empty) / (clean - empty) of the means over questions, with a 95 % bootstrap interval.

    The ratio of means, not the mean of ratios, which one question with a small denominator would decide.

    Args:
        values: `[question, ...]`.
        clean, empty, weights: `[question]`.

    >>> [end.tolist() for end in recovered(np.array([[1.0], [3.0]]), np.array([2.0, 4]), np.zeros(2), np.ones(2))][0]
    [0.6666666666666666]
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    drawn = np.random.default_rng(0).multinomial(
        len(values), np.full(len(values), 1 / len(values)), RESAMPLES
    )
    every = np.concatenate([np.ones((1, len(values))), drawn]) * weights
    every /= every.sum(1, keepdims=True)
    span = every @ (clean - empty).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (every @ flat - (every @ empty.astype(np.float64))[:, None]) / span[:, None]
    low, high = (
        np.quantile(shares[1:], (0.025, 0.975), axis=0)
        if len(values) > 1
        else np.full((2, flat.shape[1]), np.nan)
    )
    shape = values.shape[1:]
    return shares[0].reshape(shape), low.reshape(shape), high.reshape(shape)


def halves(rights: Sequence[int]) -> tuple[list[int], list[int]]:
    """Question numbers in two halves, so that each right letter is in both about as often.

    >>> halves([0, 1, 0, 1, 0])
    ([0, 1, 4], [2, 3])
    """
    first: list[int] = []
    second: list[int] = []
    seen = dict.fromkeys(rights, 0)
    for number, right in enumerate(rights):
        (second if seen[right] % 2 else first).append(number)
        seen[right] += 1
    return first, second


def random_sets(
    chosen: Sequence[int], shape: tuple[int, int], matched: str, count: int, seed: int
) -> list[NodeSet]:
    """Random sets with as many heads and MLPs as `chosen`; with `matched` "layer", of the same layers.

    Args:
        shape: the number of layers and of heads.

    >>> [sorted(one) for one in random_sets([0, 4], (2, 2), "layer", 1, 0)]
    [[0, 4]]
    """
    layers, heads = shape
    groups: list[range] = [range(layers * heads), range(layers * heads, layers * (heads + 1))]
    if matched == "layer":
        groups = [range(layer * heads, (layer + 1) * heads) for layer in range(layers)]
        groups += [range(mlp, mlp + 1) for mlp in range(layers * heads, layers * (heads + 1))]
    sizes = [sum(node in group for node in chosen) for group in groups]
    drawing = random.Random(f"{seed} {len(chosen)}")
    return [
        frozenset(
            node for group, size in zip(groups, sizes, strict=True) for node in drawing.sample(group, size)
        )
        for _ in range(count)
    ]
