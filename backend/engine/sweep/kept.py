"""A sweep's results, as they come in and as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.readout import Reading

OnDone = Callable[[list[int], Tensor, Tensor | None], None]
"""Called with the numbers of finished cells, their logits `[cell, token]` and, if asked for, logsumexp `[cell]`."""


@dataclass(frozen=True)
class Swept:
    """What became of the base run's final position.

    Attributes:
        logits: of the tokens asked for, for each cell in the order given.
        logsumexp: over the whole vocabulary: `logits - logsumexp` are log-probabilities. None if not asked for.
        final: the residual stream after the last layer. None if not asked for.
        skipped: how many cells cannot change anything and were given the base run's values.
        engine: "cone", or "full" where every cell was a whole forward pass.
    """

    logits: Float[Tensor, "cell token"]
    logsumexp: Float[Tensor, " cell"] | None
    final: Float[Tensor, "cell d_model"] | None
    skipped: int
    engine: str


class Kept:
    """Results as they come in; at first all are the base run's."""

    def __init__(self, base: Reading, count: int, on_done: OnDone | None) -> None:
        self.logits = base.logits.repeat(count, 1)
        self.logsumexp = None if base.logsumexp is None else base.logsumexp.repeat(count)
        self.final = None if base.final is None else base.final.repeat(count, 1)
        self._on_done = on_done

    def skip(self, run: Sequence[Experiment]) -> None:
        """Tell of all that are not to be run."""
        self._tell(sorted({*range(len(self.logits))} - {experiment.number for experiment in run}))

    def put(self, numbers: list[int], reading: Reading) -> None:
        """Keep the results of some and tell of them."""
        self.logits[numbers] = reading.logits
        if self.logsumexp is not None and reading.logsumexp is not None:
            self.logsumexp[numbers] = reading.logsumexp
        if self.final is not None and reading.final is not None:
            self.final[numbers] = reading.final
        self._tell(numbers)

    def _tell(self, numbers: list[int]) -> None:
        if self._on_done is not None and numbers:
            total = None if self.logsumexp is None else self.logsumexp[numbers]
            self._on_done(numbers, self.logits[numbers], total)
