"""The arrays of `mutations`: means over questions, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from backend.analyses.attention.attention_to_right import FOLLOWED
from backend.analyses.findings import array
from backend.analyses.intervals import Floats, interval_of, with_ends
from backend.contract.result import Array


@dataclass
class Samples:
    """Figures of every question, in one list a mutation.

    Attributes:
        loss, right: `[condition]` of each question.
        transfer: the loss `[fitted]` of each question, with what was fitted under each mutation.
        attention: what `to_right` returns for each question, for one head only.
    """

    loss: list[list[Tensor]] = field(default_factory=list)
    right: list[list[Tensor]] = field(default_factory=list)
    transfer: list[list[Tensor]] = field(default_factory=list)
    attention: list[list[Tensor]] = field(default_factory=list)
    oracle_error: float = 0.0

    @property
    def kept(self) -> int:
        """How many questions are used under the first mutation."""
        return len(self.loss[0])

    def begin(self) -> None:
        """Start the lists of the next mutation."""
        for samples in (self.loss, self.right, self.transfer, self.attention):
            samples.append([])

    def arrays(self) -> dict[str, Array]:
        """The result's arrays; those of attention for one head only."""
        axes = ("mutation", "condition")
        arrays: dict[str, Array] = {}
        for name, samples, unit in (("loss", self.loss, "nats"), ("accuracy", self.right, "share")):
            ends = np.stack([interval_of(name, torch.stack(rows).numpy()) for rows in samples], axis=1)
            arrays |= with_ends(name, ends, axes, unit)
        transfer = torch.stack([torch.stack(rows).mean(0) for rows in self.transfer], 1)
        arrays["transfer"] = array(transfer, ("fitted", "mutation"), "nats")
        for number, name in enumerate(FOLLOWED if self.attention[0] else ()):
            attended = [torch.stack(rows)[:, number].numpy() for rows in self.attention]
            ends = np.stack([_followed(name, of_mutation) for of_mutation in attended], axis=1)
            arrays |= with_ends(name, ends, ("mutation",), "share")
        return arrays


def alone_arrays(tables: Sequence[Samples]) -> dict[str, Array]:
    """The same arrays of each of several heads alone."""
    each = [table.arrays() for table in tables]
    return {
        f"alone_{name}": array(
            np.stack([arrays[name].values for arrays in each]), ("head", *first.axes), first.unit
        )
        for name, first in (each[0].items() if each else ())
    }


def _followed(name: str, samples: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean and interval. A question without the letter has no share and is left out; NaN where no question has one."""
    if name == "letter_share":
        samples = samples[~np.isnan(samples)]
    if not len(samples):
        nothing = np.full((), np.nan)
        return nothing, nothing, nothing
    return interval_of(name, samples)
