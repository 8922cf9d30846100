"""A cell: one component's value at one layer, position and head; and which cells a model has."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.components import COMPONENTS, Component
from backend.contract.errors import RequestError, shown
from backend.models.families import Shape


@dataclass(frozen=True)
class Cell:
    """A layer, position and head. For keys and values `head` is a kv head; None for components without heads."""

    layer: int
    position: int
    head: int | None = None


Node = tuple[str, Cell]
"""A component's name and a cell of it; an experiment patches one or more nodes together."""


def components_of(shape: Shape) -> dict[str, Component]:
    """The components that a model has. If attention and MLP are computed side by side there is no `resid_mid`."""
    return {name: one for name, one in COMPONENTS.items() if one.in_parallel or not shape.parallel}


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
    """Raise RequestError if the model has no such node in a prompt of `tokens` tokens."""
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
    if not COMPONENTS[name].in_parallel and shape.parallel:
        raise RequestError(
            f"This {shape.model_type} model computes attention and MLP of a layer side by side: there is no {name}. "
            f"Components: {', '.join(components_of(shape))}."
        )
    return COMPONENTS[name]


def _check_index(what: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise RequestError(f"{what} {shown(index)} is out of range: there are {count}, counted from 0.")
