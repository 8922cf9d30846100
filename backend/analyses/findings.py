"""Parts of findings that many analyses return."""

from typing import Any

import numpy as np
from torch import Tensor

from backend.contract.result import Array
from backend.engine.instrument import Instrument
from backend.questions.prompt import Prompt


def array(values: Tensor | np.ndarray[Any, np.dtype[Any]], axes: tuple[str, ...], unit: str) -> Array:
    """A result's array from a tensor or numpy array: float32, contiguous, on the CPU."""
    plain = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return Array(np.asarray(plain, dtype=np.float32, order="C"), axes, unit)


def layer_head_ticks(instrument: Instrument) -> dict[str, tuple[str, ...]]:
    """Tick texts of the layer and head axes."""
    shape = instrument.shape
    return {
        "layer": tuple(str(layer) for layer in range(shape.layers)),
        "head": tuple(str(head) for head in range(shape.heads)),
    }


def prompt_scalars(prompt: Prompt) -> dict[str, Any]:
    """What every result about one prompt says of it."""
    return {
        "text": prompt.text,
        "tokens": list(prompt.tokens),
        "roles": list(prompt.roles),
        "labels": list(prompt.labels),
        "answer": None if prompt.answer is None else prompt.labels[prompt.answer],
        "notes": list(prompt.notes),
        "controls": list(prompt.controls),
    }
