"""How near our figures must come to the model's own, for the precision it is held in."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from backend.engine.instrument import Instrument


@dataclass(frozen=True)
class Tolerance:
    """Upper limits: `logits` and `identity` in logits, `activations` as a share of the largest value compared."""

    logits: float
    identity: float
    activations: float


FLOAT32 = Tolerance(logits=1e-4, identity=1e-3, activations=1e-4)
# Half precision keeps 8 (bfloat16) or 11 (float16) bits of each activation, and each layer rounds once more. Seen on
# the small model: identity 0.03, activations 0.004.
HALF = Tolerance(logits=0.125, identity=0.25, activations=1e-2)
# LLM.int8 quantizes a layer's input too, so a head's write is a little different when taken alone: 0.03 seen.
QUANTIZED = Tolerance(logits=0.125, identity=0.25, activations=1e-1)


def tolerance(instrument: Instrument) -> Tolerance:
    """The limits for this instrument's dtype and quantization."""
    if instrument.resolved.quantization != "none":
        return QUANTIZED
    return FLOAT32 if instrument.resolved.dtype == "float32" else HALF


def largest_share(ours: Tensor, own: Tensor) -> float:
    """The largest difference as a share of the model's own largest value; NaN if there is one."""
    return float((ours - own).abs().max() / own.abs().max())


def worst(errors: Iterable[float]) -> float:
    """The largest; NaN if there is one, which `max` may pass over.

    >>> worst([1e-6, float("nan"), 2e-6])
    nan
    """
    return float(np.max([*errors]))
