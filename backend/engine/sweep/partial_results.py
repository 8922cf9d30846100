"""A sweep's results: those so far, while it runs, and all of them at its end."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.readout import Readout

OnDone = Callable[[list[int], Tensor, Tensor | None], None]
"""Called with the numbers of finished experiments, their logits `[experiment, token]` and, if asked for, their
logsumexp `[experiment]`."""


@dataclass(frozen=True)
class Swept:
    """The base run's final position after each experiment; float32 on the CPU, `logsumexp` float64.

    Attributes:
        logits: of the tokens asked for, for each experiment in the order given.
        logsumexp: over the whole vocabulary: `logits - logsumexp` are log-probabilities. None if not asked for.
        final: the residual stream after the last layer. None if not asked for.
        skipped: how many experiments can change nothing: they were not run, their values are the base run's.
        engine: "cone", or "full" if every experiment was a pass of the whole model.
    """

    logits: Float[Tensor, "experiment token"]
    logsumexp: Float[Tensor, " experiment"] | None
    final: Float[Tensor, "experiment d_model"] | None
    skipped: int
    engine: str


class PartialResults:
    """The results so far. Every experiment starts with the base run's values."""

    def __init__(self, base: Readout, count: int, on_done: OnDone | None) -> None:
        self.logits = base.logits.repeat(count, 1)
        self.logsumexp = None if base.logsumexp is None else base.logsumexp.repeat(count)
        self.final = None if base.final is None else base.final.repeat(count, 1)
        self._on_done = on_done

    def report_skipped(self, run: Sequence[Experiment], finished: Set[int]) -> None:
        """Report all experiments except those that will be run or were finished before."""
        self._report(
            sorted({*range(len(self.logits))} - {experiment.number for experiment in run} - finished)
        )

    def add(self, numbers: list[int], readout: Readout) -> None:
        """Store the results of some experiments and report them."""
        self.logits[numbers] = readout.logits
        if self.logsumexp is not None and readout.logsumexp is not None:
            self.logsumexp[numbers] = readout.logsumexp
        if self.final is not None and readout.final is not None:
            self.final[numbers] = readout.final
        self._report(numbers)

    def _report(self, numbers: list[int]) -> None:
        if self._on_done is not None and numbers:
            logsumexp = None if self.logsumexp is None else self.logsumexp[numbers]
            self._on_done(numbers, self.logits[numbers], logsumexp)
