"""The attention of the heads that write the letter, from the prompt's last token to each token."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.figures.net import Node, ranked
from backend.contract.head import HeadRef

WRITERS = 4
"""How many heads are looked at."""
LEAST_NET = 0.02
"""A head that writes a smaller share of the margin than this is not one that writes the letter."""
LEAST_SHARE = 0.03
"""Attention below this share is not drawn."""
LOOKS = 0.2
"""The least share of attention on a label's token at which a head is said to look at that label."""


@dataclass(frozen=True)
class Arc:
    """One head's attention to one token, a share of 1."""

    head: str
    position: int
    share: float


def writers(net: NDArray[np.float32], margin: float, count: int = WRITERS) -> list[HeadRef]:
    """At most `count` heads with the largest net effects, largest first, of `net[layer, head]` in logits.

    Heads below `LEAST_NET` of the margin are left out; there is always at least one.
    """
    nodes: list[Node] = sorted(ranked(net, np.zeros(0, np.float32), net.size), key=lambda node: -node.value)
    kept = [node for node in nodes[:count] if node.value >= LEAST_NET * margin] or nodes[:1]
    return [HeadRef.parse(node.name) for node in kept]


def arcs(final: NDArray[np.float32], heads: Sequence[HeadRef]) -> list[Arc]:
    """The arcs of these heads, of `final[layer, head, position]`; weak attention is left out."""
    return [
        Arc(str(head), int(position), float(final[head.layer, head.head, position]))
        for head in heads
        for position in np.flatnonzero(final[head.layer, head.head] >= LEAST_SHARE)
    ]


def option_of(role: str) -> int | None:
    """The index of the option that a token belongs to, by its role; None for tokens of no option.

    >>> option_of("label 2"), option_of("stem"), option_of("final")
    (2, None, None)
    """
    name, _, index = role.partition(" ")
    return int(index) if name in ("label", "bracket", "option", "newline") and index else None


def on_labels(
    final: NDArray[np.float32], roles: Sequence[str], head: HeadRef, count: int
) -> NDArray[np.float32]:
    """`share[label]`: the head's attention from the last token to each of `count` labels' tokens."""
    row = final[head.layer, head.head]
    return np.array(
        [
            sum(float(row[at]) for at, role in enumerate(roles) if role == f"label {place}")
            for place in range(count)
        ],
        np.float32,
    )


def looks_at(shares: NDArray[np.float32]) -> int | None:
    """The index of the label that a head looks at, of its `share[label]`; None where it looks at none."""
    place = int(np.argmax(shares))
    return place if float(shares[place]) >= LOOKS else None
