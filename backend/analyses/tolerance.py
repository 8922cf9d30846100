"""How near our figures must come to the model's own, for the precision it is held in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from backend.contract.check_spec import ACTIVATIONS, IDENTITY, LOGITS
from backend.engine.instrument import Instrument


@dataclass(frozen=True)
class Tolerance:
    """Upper limits: `logits` and `identity` in logits, `activations` as a share of the largest value compared."""

    logits: float
    identity: float
    activations: float


def _limits(precision: Literal["float32", "half", "quantized"]) -> Tolerance:
    return Tolerance(*(getattr(limit, precision) for limit in (LOGITS, IDENTITY, ACTIVATIONS)))


FLOAT32 = _limits("float32")
HALF = _limits("half")
QUANTIZED = _limits("quantized")


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
