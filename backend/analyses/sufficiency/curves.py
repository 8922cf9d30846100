"""Which questions sort and which score, and which random sets are drawn."""

import random
from collections.abc import Sequence

NodeSet = frozenset[int]
"""Nodes by index: layer x heads + head for heads, then the MLPs."""


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
