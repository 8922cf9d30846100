"""Work: what an analysis has to do, from the model's sizes alone. `machine.py` turns it into seconds.

Example: a pass of 10 tokens through 2 layers of 100 weights each, with 50 weights of unembedding (without attention's
own products). It has 2 * 10 * 100 + 50 = 2,050 multiply-adds, reads 250 weights and calls 2 layers.

In a mixture of experts only the weights that a row uses are counted, not all that a batch reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from backend.contract.components import COMPONENTS
from backend.engine.instrument import kept_whole
from backend.engine.sweep import Cell, Cost, Experiment
from backend.engine.sweep.batching import limits_of
from backend.engine.trace import trace_bytes


@dataclass(frozen=True)
class Work:
    """What has to be done. Works can be added, and multiplied by a number.

    Attributes:
        products: multiply-adds of matrix products.
        weights: how many weights are read from the model's memory; one that is read twice counts twice.
        moved: bytes that are written into a trace or read from it.
        calls: how many times a layer is called.
        cone_products, cone_weights: `products` and `weights` of cones, whose products may be faster.
        held: the most memory at a time in bytes, in addition to the weights. The sum of two works has the larger one.
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


def traced(cost: Cost, tokens: int, *, final: bool = False) -> Work:
    """A pass, and each number of its trace written twice: the memory is cleared, then filled.

    With `final` what `Instrument.final_trace` does.
    """
    size = trace_bytes(cost.shape, tokens, final=final and not kept_whole(cost.shape, tokens))
    return one_pass(cost, tokens) + Work(moved=2 * size, held=size + tokens * cost.row_bytes(tokens))


def projected(cost: Cost, rows: float) -> Work:
    """`rows` rows through the output projection of each layer, which is first converted to float32."""
    shape = cost.shape
    matrices = shape.layers * shape.d_model * shape.heads * shape.d_head
    return Work(products=rows * matrices, weights=matrices * (1 if cost.itemsize == 4 else 5))


def two_traces(cost: Cost, tokens: int) -> Work:
    """The traces of a clean and a corrupted prompt, both in memory."""
    return traced(cost, tokens) * 2 + Work(held=2 * trace_bytes(cost.shape, tokens))


def swept(cost: Cost, flops: float, rows: float, cells: float) -> Work:
    """A sweep of `cells` experiments, without its memory; `flops` and `rows` are as in `Estimate`.

    A layer is called once for each pass and batch; on average a pass begins half way up. A model whose layers cannot
    be called alone runs a whole pass for each experiment.
    """
    layers = cost.shape.layers
    if cost.whole_model:
        return Work(products=flops / 2, weights=cells * layers * cost.row, calls=cells * layers)
    limits = limits_of(cost.device)
    passes = min(ceil(flops / limits.flops), ceil(cells))
    calls = layers * (1 + passes) / 2 + rows / limits.rows
    return Work(calls=calls, cone_products=flops / 2, cone_weights=calls * cost.row)


def cones(cost: Cost, tokens: int, component: str, positions: Sequence[int], share: float = 1) -> Work:
    """A sweep over every layer and head of a component at some positions, or over a share of these cells."""
    shape, limits = cost.shape, limits_of(cost.device)
    times = share * (COMPONENTS[component].head_count(shape) or 1)
    cells = [
        Experiment.of(0, ((component, Cell(layer, position, None)),))
        for layer in range(shape.layers)
        for position in positions
    ]
    flops = times * sum(cost.flops(tokens, cell) for cell in cells)
    rows = times * sum(cost.row_layers(tokens, cell) for cell in cells)
    state = max(cost.state_bytes(tokens, cell) for cell in cells)
    at_once = times * len(cells) / max(1, ceil(flops / limits.flops))
    held = at_once * state + min(rows, limits.rows) * cost.row_bytes(tokens)
    return swept(cost, flops, rows, times * len(cells)) + Work(held=held)
