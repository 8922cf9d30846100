"""What has to be done, counted in passes of the model: work, from the model's sizes, whatever machine does it.

Of a mixture of experts the weights that a row uses are counted, not all that a batch reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from backend.contract.components import COMPONENTS
from backend.engine.sweep import Cell, Cost, Experiment
from backend.engine.sweep.batching import limits_of
from backend.engine.trace import trace_bytes


@dataclass(frozen=True)
class Work:
    """What has to be done. Works add up, and can be multiplied.

    Attributes:
        products: multiply-adds of matrix products.
        weights: how many weights, or numbers like them, are read from the model's memory, again at each reading.
        moved: bytes that go into a trace, or are gone through there.
        calls: how many times a layer is called.
        cone_products, cone_weights: the same in cones, whose products may be faster.
        held: the most bytes of memory at a time, beside the weights; of a sum the larger.
    """

    products: float = 0
    weights: float = 0
    moved: float = 0
    calls: float = 0
    cone_products: float = 0
    cone_weights: float = 0
    held: float = 0

    def __add__(self, other: "Work") -> "Work":
        total = {name: value + getattr(other, name) for name, value in vars(self).items()}
        return Work(**{**total, "held": max(self.held, other.held)})

    def __mul__(self, times: float) -> "Work":
        return Work(**{name: value * (1 if name == "held" else times) for name, value in vars(self).items()})


@dataclass(frozen=True)
class Asked:
    """What of a request decides its cost: one prompt of it, and whether it is one of several."""

    tokens: int
    labels: int
    several: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """How many corrupted prompts are drawn."""
        corruption = self.params.get("corruption", {})
        draws = corruption.get("draws", 1) if isinstance(corruption, Mapping) else 1
        return draws if type(draws) is int else 1

    def how_many(self, name: str, usual: Sequence[object]) -> int:
        """The length of a list among the params; of what is no list, which will be refused, the usual one."""
        given = self.params.get(name)
        return len(given) if isinstance(given, list) else len(usual)


def one_pass(cost: Cost, tokens: int) -> Work:
    """A pass of the model, the final position unembedded."""
    shape = cost.shape
    attended = 2 * tokens**2 * shape.heads * shape.d_head
    unembedding = shape.vocabulary * shape.d_model
    return Work(
        products=shape.layers * (tokens * cost.row + attended) + unembedding,
        weights=shape.layers * cost.row + unembedding,
        calls=shape.layers,
        held=tokens * cost.row_bytes(tokens),
    )


def traced(cost: Cost, tokens: int) -> Work:
    """A pass, and each number of its trace written twice: room is made for it, then it is copied."""
    size = trace_bytes(cost.shape, tokens)
    return one_pass(cost, tokens) + Work(moved=2 * size, held=size + tokens * cost.row_bytes(tokens))


def projected(cost: Cost, rows: float) -> Work:
    """`rows` rows through the output projection of each layer, which is first made a float32 matrix."""
    shape = cost.shape
    matrices = shape.layers * shape.d_model * shape.heads * shape.d_head
    return Work(products=rows * matrices, weights=matrices * (1 if cost.itemsize == 4 else 5))


def cones(cost: Cost, tokens: int, component: str, positions: Sequence[int], share: float = 1) -> Work:
    """A sweep over every layer and head of a component at some positions, or over a share of these cells.

    A layer is called once for each pass and batch; a pass begins, in the mean, half way up.
    """
    shape = cost.shape
    times = share * (COMPONENTS[component].head_count(shape) or 1)
    cells = [
        Experiment.of(0, ((component, Cell(layer, position, None)),))
        for layer in range(shape.layers)
        for position in positions
    ]
    flops = times * sum(cost.flops(tokens, cell) for cell in cells)
    rows = times * sum(cost.row_layers(tokens, cell) for cell in cells)
    limits = limits_of(cost.device)
    passes = ceil(flops / limits.flops)
    calls = shape.layers * (1 + passes) / 2 + rows / limits.rows
    state = max(cost.state_bytes(tokens, cell) for cell in cells)
    return Work(
        calls=calls,
        cone_products=flops / 2,
        cone_weights=calls * cost.row,
        held=times * len(cells) / max(1, passes) * state + min(rows, limits.rows) * cost.row_bytes(tokens),
    )
