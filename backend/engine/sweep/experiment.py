"""One experiment: the nodes that are patched together, and where their cone begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.engine.sweep.cells import COMPONENTS, Node
from backend.engine.sweep.source import Patchable


@dataclass(frozen=True)
class Experiment:
    """At least one node. Its rows are those from `position` on, from `layer` up.

    Attributes:
        number: its place among the experiments that were asked for.
        layer: the lowest layer patched.
        position: the first position patched.
        one_row: whether its first layer changes at `position` only: later rows join in the layer above.
    """

    number: int
    nodes: tuple[Node, ...]
    layer: int
    position: int
    one_row: bool

    @classmethod
    def of(cls, number: int, nodes: tuple[Node, ...]) -> "Experiment":
        """The experiment that patches these nodes."""
        layer = min([cell.layer for _, cell in nodes])
        position = min([cell.position for _, cell in nodes])
        later_rows = [
            COMPONENTS[component].later_rows or (cell.layer, cell.position) != (layer, position)
            for component, cell in nodes
        ]
        return cls(number, nodes, layer, position, not any(later_rows))


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
    return [Experiment.of(number, nodes) for number, nodes in numbered if nodes]
