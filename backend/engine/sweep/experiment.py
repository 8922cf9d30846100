"""One experiment: the nodes that are patched together, and where their cone begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from backend.engine.sweep.cells import COMPONENTS, Node


@dataclass(frozen=True)
class Experiment:
    """At least one node. Its rows are those from `position` on, from `layer` up."""

    nodes: tuple[Node, ...]

    @cached_property
    def layer(self) -> int:
        """The lowest layer patched."""
        return min(cell.layer for _, cell in self.nodes)

    @cached_property
    def position(self) -> int:
        """The first position patched."""
        return min(cell.position for _, cell in self.nodes)

    @cached_property
    def one_row(self) -> bool:
        """Whether its first layer changes at `position` only: later rows join in the layer above."""
        return all(
            (cell.layer, cell.position) == (self.layer, self.position)
            and not COMPONENTS[component].later_rows
            for component, cell in self.nodes
        )

    @cached_property
    def by_layer(self) -> dict[int, tuple[Node, ...]]:
        """The nodes of each layer patched."""
        layers = sorted({cell.layer for _, cell in self.nodes})
        return {layer: tuple(node for node in self.nodes if node[1].layer == layer) for layer in layers}


Numbered = list[tuple[int, Experiment]]
"""Experiments with the numbers that they were asked for under."""


def effective(sets: Sequence[Sequence[Node]], layers: int, tokens: int, first: int) -> Numbered:
    """The experiments that can change the final logits, without the nodes that cannot.

    Those are the nodes before position `first`, where base and source are the same, and in the last layer those
    whose value no later row reads.
    """
    numbered = ((number, _changing_nodes(nodes, layers, tokens, first)) for number, nodes in enumerate(sets))
    return [(number, Experiment(nodes)) for number, nodes in numbered if nodes]


def _changing_nodes(nodes: Sequence[Node], layers: int, tokens: int, first: int) -> tuple[Node, ...]:
    def read_later(node: Node) -> bool:
        component, cell = node
        return COMPONENTS[component].later_rows or cell.layer < layers - 1 or cell.position == tokens - 1

    return tuple(node for node in nodes if node[1].position >= first and read_later(node))
