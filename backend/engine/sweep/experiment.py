"""One experiment: the nodes that are patched together, and where their cone begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from backend.engine.sweep.cells import COMPONENTS, Node
from backend.engine.sweep.source import Patchable


@dataclass(frozen=True)
class Experiment:
    """At least one node. Its rows are those from `position` on, from `layer` up.

    `number` is its place among the experiments that were asked for.
    """

    number: int
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


def effective(
    sets: Sequence[Sequence[Node]], layers: int, tokens: int, source: Patchable
) -> list[Experiment]:
    """The experiments that can change the final logits, without the nodes that cannot.

    Those are the nodes whose value is the base run's own, and in the last layer those whose value no later row reads.
    """

    def changes(node: Node) -> bool:
        component, cell = node
        if source.unchanged(cell):
            return False
        return COMPONENTS[component].later_rows or cell.layer < layers - 1 or cell.position == tokens - 1

    numbered = ((number, tuple(filter(changes, nodes))) for number, nodes in enumerate(sets))
    return [Experiment(number, nodes) for number, nodes in numbered if nodes]
