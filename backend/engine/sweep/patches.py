"""The patched values of one layer's call: which value replaces which row of the batch."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.engine.sweep.cells import Cell, Node
from backend.engine.sweep.source import Source
from backend.models.families import Slot


@dataclass(frozen=True)
class Patch:
    """The values that replace one component's in some rows of the batch.

    Attributes:
        rows: the row of the batch that each value goes to.
        heads: the head that each value belongs to; None for a component without heads.
        values: for the pattern `[patch, key]` over all of the prompt's positions, for other components
            `[patch, d_head]` or `[patch, d_model]`.
    """

    rows: Int[Tensor, " patch"]
    heads: Int[Tensor, " patch"] | None
    values: Float[Tensor, "patch size"]

    def write(self, slot: Slot, tensor: Tensor) -> None:
        """Replace the values in `tensor`, the input or output of the slot's module for all rows of the batch."""
        heads = torch.zeros_like(self.rows) if self.heads is None else self.heads
        slot.write(tensor, self.rows, heads, self.values)


@dataclass(frozen=True)
class PatchedRow:
    """A row of the batch, the number of its experiment, and the node that is patched there."""

    row: int
    experiment: int
    node: Node

    @property
    def cell(self) -> Cell:
        """The node's cell."""
        return self.node[1]


def patches_of(source: Source, layer: int, patched: Iterable[PatchedRow]) -> dict[str, Patch]:
    """The source's values of some nodes of one layer, by component."""
    by_component: dict[str, list[PatchedRow]] = {}
    for each in patched:
        by_component.setdefault(each.node[0], []).append(each)
    return {component: _patch(source, layer, component, some) for component, some in by_component.items()}


def _patch(source: Source, layer: int, component: str, patched: list[PatchedRow]) -> Patch:
    rows = torch.tensor([each.row for each in patched])
    heads = [each.cell.head for each in patched]
    values = source.values(component, layer, [(each.experiment, each.cell) for each in patched])
    return Patch(rows, None if heads[0] is None else torch.tensor(heads), values)
