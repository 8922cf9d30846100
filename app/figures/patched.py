"""What a patch did: zero where it changed nothing, whichever run it was put into."""

import numpy as np
from numpy.typing import NDArray

from backend.results.result import Result


def effect(result: Result, direction: str, shown: str) -> NDArray[np.float32]:
    """The patched run against the run that was patched, with the axes of the result's arrays.

    `shown` is "values", the metric's change in its own unit, or "recovered", as a share of the difference between both
    runs: what denoising brings back, or what noising takes away.
    """
    if shown == "values":
        base = result.scalars["corrupted" if direction == "denoise" else "clean"]
        return np.asarray(result["values"] - np.float32(base), np.float32)
    recovered = result["recovered"]
    return recovered if direction == "denoise" else np.asarray(1 - recovered, np.float32)


def effect_name(direction: str, shown: str) -> str:
    """What `effect` is called in a title."""
    if shown == "values":
        return "Change of the metric"
    return "Share recovered" if direction == "denoise" else "Share lost"
