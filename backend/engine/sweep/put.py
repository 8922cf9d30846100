"""What is put where while a layer is called: a source's values, by row of the flat batch."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.engine.sweep.cells import Cell, Node
from backend.engine.sweep.source import Source
from backend.models.families import Slot


@dataclass(frozen=True)
class Put:
    """Values of one component for some rows; `heads` is None for a component without heads.

    For the pattern `values` are `[put, key]`, over all of the prompt's positions; for other components
    `[put, d_head]` or `[put, d_model]`.
    """

    rows: Int[Tensor, " put"]
    heads: Int[Tensor, " put"] | None
    values: Float[Tensor, "put size"]

    def into(self, slot: Slot, whole: Tensor) -> None:
        """Exchange the values in `whole`, what the slot's module gives or takes for all rows of the batch."""
        heads = torch.zeros_like(self.rows) if self.heads is None else self.heads
        slot.write(whole, self.rows, heads, self.values)


Placed = tuple[int, int, Node]
"""A row of the batch, the number of the experiment that it belongs to, and what is patched there."""


def puts(source: Source, layer: int, placed: Iterable[Placed]) -> dict[str, Put]:
    """A source's values of some nodes of one layer, each placed at a row, by component."""
    by_component: dict[str, list[tuple[int, int, Cell]]] = {}
    for row, number, (component, cell) in placed:
        by_component.setdefault(component, []).append((row, number, cell))
    return {component: _put(source, layer, component, some) for component, some in by_component.items()}


def _put(source: Source, layer: int, component: str, placed: list[tuple[int, int, Cell]]) -> Put:
    rows = torch.tensor([row for row, _, _ in placed])
    heads = [cell.head for _, _, cell in placed]
    values = source.values(component, layer, [(number, cell) for _, number, cell in placed])
    return Put(rows, None if heads[0] is None else torch.tensor(heads), values)
