"""What has been read of a bank so far: arrays with a row a question, which a checkpoint holds.

A later run of the same request goes on after the last question that is whole.
"""

import time
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.analyses.atlas.reading import Reading
from backend.analyses.circuit.effects import Effects
from backend.analyses.circuit.schema import KINDS as EFFECT_KINDS
from backend.contract.choices import NORMS
from backend.contract.errors import RequestError
from backend.engine.instrument import Instrument
from backend.results.checkpoint import Checkpoint
from backend.results.head_figures import KINDS, Readings

SAVE_SECONDS = 5.0
MOST_BYTES = 2**31
RECOMPUTED = list(NORMS).index("recomputed")
EFFECTS = ("total", "direct", "indirect")
OF_READING = tuple(field.name for field in fields(Reading))


class Kept:
    """The arrays, NaN where nothing is known yet.

    Attributes:
        arrays: by name, each with the question as its first axis.
        done: how many questions are whole.
    """

    def __init__(
        self, instrument: Instrument, questions: int, labels: int, checkpoint: Checkpoint | None
    ) -> None:
        """Load what the checkpoint has for these sizes. Raises RequestError for more than memory should hold."""
        layers, heads = instrument.shape.layers, instrument.shape.heads
        grid, by_label = (layers, heads), (labels, layers, heads)
        sizes = {
            **dict.fromkeys(("attention", "weighted"), (len(KINDS), *grid)),
            **dict.fromkeys(("labels", "written", "scores"), by_label),
            **dict.fromkeys(("lens", "mlp_written"), (labels, layers)),
            **dict.fromkeys(("entropy", *EFFECTS), grid),
            **dict.fromkeys((f"mlp_{kind}" for kind in EFFECTS), (layers,)),
            "logits": (labels,),
            **dict.fromkeys(
                ("loss", "identity_error", "pattern_error", "oracle_error", "additivity_error"), ()
            ),
        }
        each = 4 * sum(int(np.prod(size)) for size in sizes.values())
        if each * questions > MOST_BYTES:
            raise RequestError(
                f"{questions:,} questions of {layers * heads:,} heads take {each * questions / 1e9:.1f} GB. "
                f"Use at most {MOST_BYTES // each:,} questions."
            )
        self.done = 0
        self.arrays = {name: np.full((questions, *size), np.nan, np.float32) for name, size in sizes.items()}
        self._checkpoint, self._saved_at = checkpoint, time.monotonic()
        self._load({} if checkpoint is None else checkpoint.load())

    def _load(self, saved: Mapping[str, NDArray[np.float32]]) -> None:
        shapes = {name: values.shape for name, values in self.arrays.items()} | {"done": ()}
        if {name: values.shape for name, values in saved.items()} == shapes:
            self.done = int(saved["done"])
            for name, values in self.arrays.items():
                values[...] = saved[name]

    def add(self, reading: Reading, effects: Effects | None) -> None:
        """Put the next question's reading in, with its effects if it has any."""
        for name in OF_READING:
            value = getattr(reading, name)
            self._put(name, np.asarray(value, np.float32))
        if effects is not None:
            for kind in EFFECTS:
                place = EFFECT_KINDS.index(kind)
                self._put(kind, effects.heads[place, RECOMPUTED].numpy())
                self._put(f"mlp_{kind}", effects.mlps[place, RECOMPUTED].numpy())
            for name in ("oracle_error", "additivity_error"):
                self._put(name, np.asarray(getattr(effects, name), np.float32))
        self.done += 1
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()
            self._saved_at = time.monotonic()

    def _put(self, name: str, value: NDArray[Any]) -> None:
        target = self.arrays[name]
        if np.shape(value) == target.shape[1:]:
            target[self.done] = value
        else:
            target[self.done, : len(value)] = value  # fewer options than another question

    def save(self) -> None:
        """Write the checkpoint, if there is one."""
        if self._checkpoint is not None:
            self._checkpoint.save({**self.arrays, "done": np.array(self.done)})

    def readings(self, right: list[int], half: list[int]) -> Readings:
        """Those of the questions that are whole."""
        part = {name: values[: self.done] for name, values in self.arrays.items()}
        names = ("attention", "weighted", "labels", "written", "lens", "scores", "entropy", *EFFECTS)
        return Readings(
            right=np.array(right[: self.done]),
            predicted=np.nanargmax(part["logits"], axis=1),
            half=np.array(half[: self.done]),
            **{name: part[name] for name in names},
        )
