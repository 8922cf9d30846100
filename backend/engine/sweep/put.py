"""What is put where while a layer is called: the source run's values, by row of the flat batch."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.engine.pattern import full_pattern
from backend.engine.sweep.cells import Node
from backend.engine.trace import Trace


@dataclass(frozen=True)
class Put:
    """Values of one component for some rows; `heads` is None for a component without heads.

    For the pattern `values` are `[put, key]`, over all of the prompt's positions; for other components
    `[put, d_head]` or `[put, d_model]`.
    """

    rows: Int[Tensor, " put"]
    heads: Int[Tensor, " put"] | None
    values: Float[Tensor, "put size"]

    def into(self, whole: Float[Tensor, "*batch row size"], heads: int) -> None:
        """Exchange the values in `whole`, whose last axes hold `heads` heads where the component has some."""
        where = self.rows.to(whole.device)
        if self.heads is None:
            whole.view(-1, self.values.shape[1])[where] = self.values.to(whole)
        else:
            by_head = whole.view(-1, heads, self.values.shape[1])
            by_head[where, self.heads.to(whole.device)] = self.values.to(whole)


def puts(source: Trace, placed: Iterable[tuple[int, Node]]) -> dict[str, Put]:
    """The source's values of some nodes of one layer, each placed at a row, by component."""
    by_component: dict[str, list[tuple[int, Node]]] = {}
    for row, node in placed:
        by_component.setdefault(node[0], []).append((row, node))
    return {component: _put(source, component, some) for component, some in by_component.items()}


def _put(source: Trace, component: str, placed: list[tuple[int, Node]]) -> Put:
    rows = torch.tensor([row for row, _ in placed])
    cells = [cell for _, (_, cell) in placed]
    layer, at = cells[0].layer, torch.tensor([cell.position for cell in cells])
    if cells[0].head is None:
        return Put(rows, None, getattr(source, component)[layer, at])
    heads = torch.tensor([cell.head for cell in cells])
    if component == "pattern":
        return Put(rows, heads, _patterns(source, layer, at, heads))
    return Put(rows, heads, getattr(source, component)[layer, at, heads])


def _patterns(
    source: Trace, layer: int, at: Int[Tensor, " put"], heads: Int[Tensor, " put"]
) -> Float[Tensor, "put key"]:
    values = torch.empty(len(at), source.resid_final.shape[0])
    for head in set(heads.tolist()):
        mine = heads == head
        values[mine] = full_pattern(source, layer, head)[at[mine]]
    return values
