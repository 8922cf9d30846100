"""What the effects on a map are held against, so that noise is not painted like a finding (ours)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.figures.shares import noise_of
from backend.contract.result import Result

FULL = 0.25
STANDS_OUT = 0.05


@dataclass(frozen=True)
class Scale:
    """The whole effect that parts are of, with its sign, and the size of noise, both in the parts' unit."""

    whole: float
    noise: float

    @classmethod
    def of_runs(cls, result: Result) -> "Scale":
        """Of effects in the metric's unit: the whole is what the clean run has over the corrupted one."""
        return cls(result.scalars["clean"] - result.scalars["corrupted"], noise_of(result))

    def end(self, values: NDArray[np.float32]) -> float:
        """Where colours are full: the size of the largest value, or if that is less a quarter of the whole effect.

        Also at least four times the noise. 1 if all of that is zero.

        >>> Scale(4.0, 0.05).end(np.float32([0.1, -0.2])), Scale(4.0, 0.05).end(np.float32([-3.0, np.nan]))
        (1.0, 3.0)
        """
        largest = float(np.nan_to_num(np.abs(values)).max(initial=0))
        return max(largest, FULL * abs(self.whole), 4 * self.noise) or 1.0

    def stands_out(self, value: float) -> bool:
        """Whether it is a twentieth of the whole effect, and more than noise.

        >>> Scale(3.1, 0.05).stands_out(0.0049), Scale(3.1, 0.05).stands_out(-0.4)
        (False, True)
        """
        return abs(value) > max(STANDS_OUT * abs(self.whole), self.noise)
