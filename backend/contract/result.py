"""A result: numpy arrays with named axes, and where they come from. No tensors, nothing computed on reading."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Array:
    """Numbers with the names of their axes and their unit (`logits`, `nats`, `probability`, ...)."""

    values: np.ndarray[Any, np.dtype[np.float32]]
    axes: tuple[str, ...]
    unit: str

    def __post_init__(self) -> None:
        if self.values.dtype != np.float32:
            raise TypeError(f"A result's array is float32, not {self.values.dtype}.")
        if self.values.ndim != len(self.axes):
            raise ValueError(f"{self.values.ndim} dimensions but {len(self.axes)} axis names {self.axes}.")


@dataclass(frozen=True)
class Result:
    """What one analysis found.

    Attributes:
        request: the request as JSON.
        arrays: name -> Array.
        ticks: axis name -> what to write at each index (tokens, labels, roles, ...).
        scalars: everything that is one value or a short list, e.g. `predicted`, `loss`, `tokens`, `roles`.
        checks: self-check figures such as `identity_error`, each with what it must stay under: name -> (value, limit).
        model: name, dtype, quantization, device, fingerprint and shape of the model used.
        versions: of this analysis, of Letterheads, torch and transformers.
        seconds: how long the computation took.
    """

    request: Mapping[str, Any]
    arrays: Mapping[str, Array]
    ticks: Mapping[str, tuple[str, ...]]
    scalars: Mapping[str, Any]
    checks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def failed(self) -> str:
        """The check figures over their limits, in words (NaN is over); empty if there is none."""
        return ", ".join(
            f"{name.replace('_', ' ')} {value:.2g} (limit {limit:g})"
            for name, (value, limit) in self.checks.items()
            if not value <= limit
        )

    def __getitem__(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The values of one array."""
        return self.arrays[name].values
