"""What can be patched: the components of a block, and a cell, one component's value at one place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from backend.contract.errors import RequestError, shown
from backend.models.families import Shape

BETWEEN = "resid_mid"
Heads = Literal["none", "head", "kv_head"]


@dataclass(frozen=True)
class Component:
    """One kind of activation.

    Attributes:
        heads: which heads have one each: "none" (there is one a position), "head" or "kv_head".
        later_rows: whether a patch at a position changes later positions of its own layer already.
    """

    name: str
    heads: Heads = "none"
    later_rows: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of a grid of its cells.

        >>> COMPONENTS["k"].axes
        ('layer', 'kv_head', 'position')
        """
        return ("layer", "position") if self.heads == "none" else ("layer", self.heads, "position")

    def head_count(self, shape: Shape) -> int | None:
        """How many heads have one; None where it has no heads."""
        return {"none": None, "head": shape.heads, "kv_head": shape.kv_heads}[self.heads]


COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        Component("resid_pre", later_rows=True),  # the residual stream before a layer
        Component(BETWEEN),  # the residual stream between attention and MLP
        Component("attn_out"),  # what attention writes
        Component("mlp_out"),  # what the MLP writes
        Component("z", "head"),  # a head's output before the output projection
        Component("q", "head"),  # a head's query before the rotary embedding
        Component("k", "kv_head", later_rows=True),  # a kv head's key before the rotary embedding
        Component("v", "kv_head", later_rows=True),  # a kv head's value
        Component("pattern", "head"),  # where a head looks from one position
    )
}


@dataclass(frozen=True)
class Cell:
    """One place; `head` counts kv heads for keys and values, and is None for components without heads."""

    layer: int
    position: int
    head: int | None = None


Node = tuple[str, Cell]
"""A component's name and a cell of it; several patched together make one experiment."""


def components_of(shape: Shape) -> dict[str, Component]:
    """The components that a model has: where attention and MLP are side by side nothing stands between them."""
    return {name: one for name, one in COMPONENTS.items() if name != BETWEEN or not shape.parallel}


def all_cells(component: str, shape: Shape, positions: Sequence[int]) -> list[Cell]:
    """Every cell of a component at some positions, in the order of its axes. Raises RequestError."""
    heads = _component_of(component, shape).head_count(shape)
    return [
        Cell(layer, position, head)
        for layer in range(shape.layers)
        for head in (range(heads) if heads is not None else (None,))
        for position in positions
    ]


def check_node(node: Node, shape: Shape, tokens: int) -> None:
    """Raise RequestError where a prompt of `tokens` tokens has no such node."""
    component, cell = _component_of(node[0], shape), node[1]
    heads = component.head_count(shape)
    _check_index("Layer", cell.layer, shape.layers)
    _check_index("Position", cell.position, tokens)
    if (cell.head is None) != (heads is None):
        has = "has no heads" if heads is None else "needs a head"
        raise RequestError(f"Component {shown(component.name)} {has}; the cell is {shown(cell)}.")
    if cell.head is not None and heads is not None:
        _check_index("Head" if component.heads == "head" else "Kv head", cell.head, heads)


def _component_of(name: str, shape: Shape) -> Component:
    if name not in COMPONENTS:
        raise RequestError(f"Unknown component {shown(name)}. Components: {', '.join(COMPONENTS)}.")
    if name == BETWEEN and shape.parallel:
        raise RequestError(
            f"This {shape.model_type} model computes attention and MLP of a layer side by side: there is no {name}. "
            f"Components: {', '.join(components_of(shape))}."
        )
    return COMPONENTS[name]


def _check_index(what: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise RequestError(f"{what} {shown(index)} is out of range: there are {count}, counted from 0.")
