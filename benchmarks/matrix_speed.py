"""How fast this machine multiplies matrices in cones: the limit that patching is compared with."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from backend.engine.instrument import Instrument
from backend.engine.products import fast_products
from backend.engine.sweep.cost import matrices
from backend.models.placement import device_of


def matrix_speed(instrument: Instrument, rows: int = 1024) -> float:
    """Floating-point operations a second of this machine's matrix products in cones.

    It is the median of nine products: a shared machine is faster for moments than it is for minutes.
    """
    product = timed_product(instrument, rows)
    return statistics.median(product() for _ in range(9))


def timed_product(instrument: Instrument, rows: int = 1024) -> Callable[[], float]:
    """A function that multiplies `rows` rows with a matrix of the size of the model's largest.

    Each call returns the floating-point operations a second that it reached.
    """
    taken, given = max(matrices(instrument))
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
