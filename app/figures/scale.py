"""The reference for the colours of a map of effects, so that noise does not look like a finding (ours)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.figures.shares import noise_of
from backend.contract.result import Result

FULL = 0.25
STANDS_OUT = 0.05


@dataclass(frozen=True)
class Scale:
    """The effect that the parts add up to, with its sign, and the size of noise, both in the parts' unit."""

    reference: float
    noise: float

    @classmethod
    def of_runs(cls, result: Result) -> "Scale":
        """For effects in the metric's unit: the clean run's metric minus the corrupted run's."""
        return cls(result.scalars["clean"] - result.scalars["corrupted"], noise_of(result))

    def end(self, values: NDArray[np.float32]) -> float:
        """The value with full colour: the largest absolute value, but at least a quarter of the reference.

        It is also at least four times the noise, and 1 where all of these are zero.

        >>> Scale(4.0, 0.05).end(np.float32([0.1, -0.2])), Scale(4.0, 0.05).end(np.float32([-3.0, np.nan]))
        (1.0, 3.0)
        """
        largest = float(np.nan_to_num(np.abs(values)).max(initial=0))
        return max(largest, FULL * abs(self.reference), 4 * self.noise) or 1.0

    def stands_out(self, value: float) -> bool:
        """Whether it is more than a twentieth of the reference, and more than noise.

        >>> Scale(3.1, 0.05).stands_out(0.0049), Scale(3.1, 0.05).stands_out(-0.4)
        (False, True)
        """
        return abs(value) > max(STANDS_OUT * abs(self.reference), self.noise)
