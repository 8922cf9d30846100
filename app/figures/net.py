"""Net effects: attributions to one letter minus the mean of the other letters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.contract.head import HeadRef

NODES = {"head": "A head", "mlp": "An MLP", "embedding": "The embedding"}
"""The kinds of nodes that a path can begin or end at."""
MODES = {"receiver": "Who feeds it", "sender": "Whom it feeds"}
"""Which end of its paths a chosen node is."""


@dataclass(frozen=True)
class Node:
    """A head (`L16H7`), an MLP (`MLP 16`) or what enters the stack, with its value in logits."""

    name: str
    value: float
    layer: int | None
    head: int | None

    @classmethod
    def named(cls, name: str, value: float) -> "Node":
        """The node of this name.

        >>> Node.named("MLP 16", 0.5)
        Node(name='MLP 16', value=0.5, layer=16, head=None)
        """
        kind, _, layer = name.partition(" ")
        if kind == "MLP":
            return cls(name, value, int(layer), None)
        if not name.startswith("L"):
            return cls(name, value, None, None)
        head = HeadRef.parse(name)
        return cls(name, value, head.layer, head.head)


def net_effect(values: NDArray[np.float32], label: int) -> NDArray[np.float32]:
    """`value[label] - mean(value[other labels])` over the last axis: what is done for one letter (ours).

    >>> float(net_effect(np.float32([3, 1, 2]), 0))
    1.5
    """
    others = np.delete(values, label, axis=-1)
    return np.asarray(values[..., label] - others.mean(axis=-1), np.float32)


def ranked(
    heads: NDArray[np.float32],
    mlps: NDArray[np.float32],
    count: int,
    ends: Sequence[tuple[str, float]] = (),
) -> list[Node]:
    """The `count` nodes furthest from zero of `heads[layer, head]`, `mlps[layer]` and named `ends`."""
    nodes = [
        Node(f"L{layer}H{head}", float(heads[layer, head]), layer, head)
        for layer, head in np.ndindex(heads.shape)
    ]
    nodes += [Node(f"MLP {layer}", float(value), layer, None) for layer, value in enumerate(mlps)]
    nodes += [Node(name, value, None, None) for name, value in ends]
    return sorted(nodes, key=lambda node: -abs(node.value))[:count]


def strongest_head(net: NDArray[np.float32]) -> tuple[int, int]:
    """Layer and head of the largest value of `net[layer, head]`."""
    layer, head = np.unravel_index(int(np.argmax(net)), net.shape)
    return int(layer), int(head)
