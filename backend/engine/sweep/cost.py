"""What a sweep costs: the floating-point operations of its cones, and the memory that an experiment and a row take."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from backend.engine.instrument import Instrument
from backend.engine.products import fast_products
from backend.engine.sweep.experiment import Experiment
from backend.models.families import Shape
from backend.models.placement import device_of

ROW_FACTOR = 2.5
"""What a row takes while it goes through a layer, in multiples of what the layer's linear modules give: beside that
there are norms, activations and copies for attention."""

_SPEEDS: WeakKeyDictionary[Instrument, float] = WeakKeyDictionary()


@dataclass(frozen=True)
class Cost:
    """One model's sizes, and what follows from them.

    Attributes:
        row: multiply-adds of one row through one layer's matrices (the first layer's; all are alike).
        widths: numbers that those matrices give for one row, together.
        itemsize: bytes of a number.
        whole_model: whether each experiment is a pass of the whole model.
        device: cpu, cuda, mps or offload.
    """

    shape: Shape
    row: int
    widths: int
    itemsize: int
    whole_model: bool
    device: str

    def flops(self, tokens: int, experiment: Experiment) -> float:
        """Floating-point operations (a multiply-add is two) of a cone: what a patch can change, computed once.

        Layers above the first take all its rows; the last layer only keys and values of all but the last row. Of the
        first layer count the output projection and MLP of the rows that the patch reaches. Of a whole pass: all layers.
        """
        if self.whole_model:
            scores = self.shape.heads * self.shape.d_head * (tokens + 1)
            return 2.0 * self.shape.layers * tokens * (self.row + scores)
        shape, last = self.shape, self.shape.layers - 1
        keys_values = 2 * shape.d_model * shape.kv_heads * shape.d_head
        queries = shape.d_model * shape.heads * shape.d_head
        scores = 2 * shape.heads * shape.d_head
        width = tokens - experiment.position
        attended = (experiment.position + 1 + tokens) * width // 2
        reached = 1 if experiment.one_row or experiment.layer == last else width
        total = reached * (self.row - keys_values - queries)
        if experiment.layer < last:
            total += (last - 1 - experiment.layer) * (width * self.row + attended * scores)
            total += (width - 1) * keys_values + self.row + tokens * scores
        return 2.0 * total

    def row_layers(self, tokens: int, experiment: Experiment) -> int:
        """How many rows go through a layer, counted anew for each layer."""
        width, above = tokens - experiment.position, self.shape.layers - 1 - experiment.layer
        return width * above + (1 if experiment.one_row else width)

    def state_bytes(self, tokens: int, experiment: Experiment) -> int:
        """Memory of an experiment's rows from its first layer to the end of its pass."""
        return (tokens - experiment.position) * self.shape.d_model * self.itemsize

    def call_bytes(self, tokens: int, rows: int) -> int:
        """Memory that one experiment's rows take while they go through a layer, with keys and values of all tokens."""
        keys = 2 * self.shape.kv_heads * self.shape.d_head * tokens
        return int(self.itemsize * (ROW_FACTOR * self.widths * rows + keys))

    def row_bytes(self, tokens: int) -> int:
        """What one row takes of that at most: alone it has the keys for itself."""
        return self.call_bytes(tokens, 1)


@dataclass(frozen=True)
class Estimate:
    """A sweep before it is run.

    Attributes:
        flops: floating-point operations of the cones, the least that recomputing them takes.
        peak_bytes: the most memory it takes at a time, without the two traces; where the budget is too little for it,
            the least that is enough.
        budget_bytes: the memory that it may take.
        cells: how many cells have to be run.
    """

    flops: float
    peak_bytes: int
    budget_bytes: int
    cells: int

    def seconds(self, speed: float) -> float:
        """The time it takes at least, at `speed` floating-point operations a second."""
        return self.flops / speed


def one_after_other(parts: Sequence[Estimate]) -> Estimate:
    """Sweeps that are run in turn, with one budget of memory."""
    return Estimate(
        flops=sum(part.flops for part in parts),
        peak_bytes=max(part.peak_bytes for part in parts),
        budget_bytes=parts[0].budget_bytes,
        cells=sum(part.cells for part in parts),
    )


def cost_of(instrument: Instrument) -> Cost:
    """A model's cost."""
    matrices = _matrices(instrument)
    return Cost(
        shape=instrument.shape,
        row=sum(taken * given for taken, given in matrices),
        widths=sum(given for _, given in matrices),
        itemsize=instrument.model.dtype.itemsize,
        whole_model=needs_whole_model(instrument),
        device=instrument.resolved.device,
    )


def needs_whole_model(instrument: Instrument) -> bool:
    """Whether a model's rows cannot be taken through its layers apart from their runs.

    LLM.int8 takes outliers from the whole batch, so that a row's numbers depend on its neighbours; and of a model tried
    by structure nobody knows whether its layers can be called alone.
    """
    return instrument.resolved.quantization == "8bit" or not instrument.family.layer_by_layer


def machine_speed(instrument: Instrument) -> float:
    """`matrix_speed`, measured once for each instrument."""
    if instrument not in _SPEEDS:
        _SPEEDS[instrument] = matrix_speed(instrument)
    return _SPEEDS[instrument]


def matrix_speed(instrument: Instrument, rows: int = 1024) -> float:
    """Floating-point operations a second of this machine's matrix product in cones.

    The median of several: a machine that others share is faster for moments than it is for minutes.
    """
    product = timed_product(instrument, rows)
    return statistics.median(product() for _ in range(9))


def timed_product(instrument: Instrument, rows: int = 1024) -> Callable[[], float]:
    """Multiplies, whenever it is called, rows with a matrix of the size of the model's largest.

    It gives the floating-point operations a second.
    """
    taken, given = max(_matrices(instrument))
    like = {
        "dtype": instrument.model.dtype,
        "device": device_of(instrument.family.layers(instrument.model)[0]),
    }
    layer = nn.Linear(taken, given, bias=False, **like)
    hidden = torch.randn(rows, taken, **like)

    def product() -> float:
        begun = time.perf_counter()
        with torch.no_grad(), fast_products([layer]):
            result = layer(hidden)
        float(result[0, 0])  # reading a number waits for a graphics card
        return 2 * rows * layer.weight.numel() / (time.perf_counter() - begun)

    return product


def _matrices(instrument: Instrument) -> list[tuple[int, int]]:
    """How many numbers each matrix of the first layer takes and gives; of a layer's experts those that a row uses."""
    layer = instrument.family.layers(instrument.model)[0]
    sizes: list[tuple[int, int]] = []
    for module in layer.modules():
        if isinstance(module, nn.Linear):
            sizes.append((module.in_features, module.out_features))
        elif isinstance(module, Conv1D):
            sizes.append((module.nx, module.nf))
        experts = [own for own in module.parameters(recurse=False) if own.dim() == 3]
        used = getattr(instrument.model.config, "num_experts_per_tok", 1)
        sizes.extend((own.shape[2], own.shape[1]) for own in experts for _ in range(used))
    return sizes
