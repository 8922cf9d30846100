"""How fast this machine is, measured with the model's own matrices.

The product of `rows` rows and a matrix of W weights takes 2 W (rows + half) / peak seconds: to read the matrix from
memory takes as long as to compute `half` rows.

Example: with a peak of 100 GFLOP/s and a half of 25 rows, a matrix of 10 million weights takes 5.2 ms for 1 row, of
which 5 ms are for reading it, and 25 ms for 100 rows. Products of cones may be faster than those of whole passes, and
have a curve of their own.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from backend.analyses.cost.work import Work
from backend.engine.instrument import Instrument
from backend.engine.products import fast_products
from backend.models.placement import device_of

MEASURED_ROWS = (1, 8, 64, 512)
ROUNDS = 3
COPIED_BYTES = 64 * 2**20
CALL_SECONDS = 1e-3
"""What a call of a layer takes in addition to its products: Python, hooks, small operations. From one-token passes."""

_MACHINES: WeakKeyDictionary[Instrument, "Machine"] = WeakKeyDictionary()


@dataclass(frozen=True)
class Curve:
    """How fast matrix products are.

    Attributes:
        peak: floating-point operations a second with many rows.
        half: the number of rows that reach half of the peak.
    """

    peak: float
    half: float

    def seconds(self, products: float, weights: float) -> float:
        """The time of so many multiply-adds, for which so many weights are read from memory."""
        return 2 * (products + self.half * weights) / self.peak


@dataclass(frozen=True)
class Machine:
    """How fast a machine is.

    Attributes:
        plain: matrix products in passes of the model.
        cones: matrix products in cones.
        copy: bytes a second from the model's memory into a trace.
        call: seconds of a call of a layer, in addition to its products.
    """

    plain: Curve
    cones: Curve
    copy: float
    call: float = CALL_SECONDS

    def seconds(self, work: Work) -> float:
        """The least time that the work takes, without an analysis' overhead."""
        products = self.plain.seconds(work.products, work.weights)
        cones = self.cones.seconds(work.cone_products, work.cone_weights)
        return products + cones + work.moved / self.copy + self.call * work.calls


def machine_of(instrument: Instrument) -> Machine:
    """The machine, measured once for each instrument."""
    if instrument not in _MACHINES:
        _MACHINES[instrument] = measure(instrument)
    return _MACHINES[instrument]


@torch.no_grad()
def measure(instrument: Instrument, clock: Callable[[], float] = time.perf_counter) -> Machine:
    """Time products and a copy. `clock` gives seconds."""
    layers = instrument.family.layers(instrument.model)
    device, matrices = device_of(layers[0]), [_largest(layer) for layer in layers]
    plain = _measured_curve(instrument, matrices, clock)
    with fast_products(matrices) as faster:
        cones = _measured_curve(instrument, matrices, clock) if faster else plain
    numbers = torch.zeros(COPIED_BYTES // 4, device=device)
    target = torch.empty(COPIED_BYTES // 4)
    copy = COPIED_BYTES / _best(lambda: target.copy_(numbers), clock)
    return Machine(plain, cones, copy)


def _measured_curve(
    instrument: Instrument, matrices: Sequence[nn.Module], clock: Callable[[], float]
) -> Curve:
    """The curve of products with few and with many rows.

    Few rows are multiplied with the matrices of many layers, so that each matrix is read from memory as in a pass.
    """
    device = device_of(matrices[0])
    taken, given = _sizes(matrices[0])
    each = []
    for rows in MEASURED_ROWS:
        some = matrices[: max(2, MEASURED_ROWS[-1] // rows)]
        hidden = torch.randn(rows, taken, dtype=instrument.model.dtype, device=device)
        seconds = _best(partial(_through, some, hidden), clock)
        each.append(seconds / (2 * len(some) * taken * given))
    return curve(MEASURED_ROWS, each)


def curve(rows: Sequence[float], seconds: Sequence[float]) -> Curve:
    """The curve through measured `seconds` of products with `rows` rows, in seconds for two operations a weight.

    The fit is of (rows + half) / peak, and errors count as shares. If more rows take no longer, which happens when the
    weights are copied to the device at each product, the most rows alone give the peak.
    """
    slope, constant = np.polyfit(rows, seconds, 1, w=1 / np.array(seconds))
    if slope <= 0:
        return Curve(float(rows[-1] / seconds[-1]), 0.0)
    return Curve(float(1 / slope), max(0.0, float(constant / slope)))


def _through(modules: Sequence[nn.Module], hidden: torch.Tensor) -> torch.Tensor:
    last: torch.Tensor = [module(hidden) for module in modules][-1]
    return last


def _best(call: Callable[[], torch.Tensor], clock: Callable[[], float]) -> float:
    """The shortest of a few calls, in seconds. Reading a number waits for the graphics card to finish."""
    seconds = []
    for _ in range(ROUNDS):
        begun = clock()
        float(call().flatten()[0])
        seconds.append(clock() - begun)
    return min(seconds)


def _largest(layer: nn.Module) -> nn.Module:
    linear = [module for module in layer.modules() if isinstance(module, nn.Linear | Conv1D)]
    return max(linear, key=lambda module: _sizes(module)[0] * _sizes(module)[1])


def _sizes(module: nn.Module) -> tuple[int, int]:
    """The input and output size of a matrix."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    assert isinstance(module, Conv1D)
    return module.nx, module.nf
