"""A sweep and its experiments: which nodes are patched together, and where their cone begins."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.components import COMPONENTS
from backend.engine.instrument import Instrument
from backend.engine.sweep.cells import Cell, Node, check_node
from backend.engine.sweep.readout import Wanted
from backend.engine.sweep.source import Ids, Patchable, Source

Sets = Sequence[Sequence[Node]]
"""One experiment each: the nodes that are patched together."""


@dataclass(frozen=True)
class Sweep:
    """What a sweep does: experiments on one prompt, each of which patches a set of nodes into its run.

    Attributes:
        base_ids: the tokens of the prompt whose run is patched. Denoising: the corrupted one; noising: the clean one.
        source: where the patched values come from.
        sets: the nodes of each experiment.
        wanted: what is read out after each.
    """

    base_ids: Ids
    source: Source
    sets: Sets
    wanted: Wanted

    def experiments(self, instrument: Instrument) -> "list[Experiment]":
        """See `experiments`."""
        return experiments(instrument, self.base_ids, self.source, self.sets)


@dataclass(frozen=True)
class Experiment:
    """Nodes that are patched together, at least one. Its cone has the rows from `position` on, from `layer` up.

    Attributes:
        number: its index in the list of sets that was asked for.
        nodes: what is patched.
        layer: the lowest layer patched.
        position: the first position patched.
        one_row: whether in its first layer only the row at `position` changes; later rows change from the next layer.
        run: which base run it changes, if a pass has experiments on several.
    """

    number: int
    nodes: tuple[Node, ...]
    layer: int
    position: int
    one_row: bool
    run: int = 0

    @classmethod
    def of(cls, number: int, nodes: tuple[Node, ...]) -> "Experiment":
        """The experiment that patches these nodes."""
        layer = min([cell.layer for _, cell in nodes])
        position = min([cell.position for _, cell in nodes])
        later_rows = [
            COMPONENTS[component].reaches_later_positions or (cell.layer, cell.position) != (layer, position)
            for component, cell in nodes
        ]
        return cls(number, nodes, layer, position, not any(later_rows))


def each_alone(component: str, cells: Sequence[Cell]) -> list[list[Node]]:
    """One set for each cell."""
    return [[(component, cell)] for cell in cells]


def experiments(instrument: Instrument, base_ids: Ids, source: Patchable, sets: Sets) -> list[Experiment]:
    """The experiments that a sweep runs: those that can change the final logits, without the nodes that cannot.

    Raises RequestError for a node that the model does not have, or for which there is no value.
    """
    for nodes in sets:
        for node in nodes:
            check_node(node, instrument.shape, len(base_ids))
            source.check(node)
    return effective(sets, instrument.shape.layers, len(base_ids), source)


def effective(sets: Sets, layers: int, tokens: int, source: Patchable) -> list[Experiment]:
    """The same for a model of `layers` layers, without the checks.

    Two kinds of nodes cannot change the final logits: those whose value equals the base run's, and in the last layer
    those that no later row reads, such as a `z` before the final position.
    """

    def changes(node: Node) -> bool:
        component, cell = node
        if source.unchanged(cell):
            return False
        return (
            COMPONENTS[component].reaches_later_positions
            or cell.layer < layers - 1
            or cell.position == tokens - 1
        )

    numbered = ((number, tuple(filter(changes, nodes))) for number, nodes in enumerate(sets))
    return [Experiment.of(number, nodes) for number, nodes in numbered if nodes]
