"""The questions of a bank, ready to have their heads and MLPs replaced: their runs, and what replaces them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.intervals import letters_alike
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.patching.metrics import ChosenMetric, LabelLogits
from backend.analyses.patching.pairs import pairs_of
from backend.analyses.task import Task
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import FinalOutputs, FinalRun, Wanted, outputs_of, readout_of


@dataclass(frozen=True)
class Used:
    """A question that can be used.

    Attributes:
        run: its run, and the outputs that replace its own.
        right: the right label's index.
        answer_ids: the labels' answer tokens.
        corrupted: the final residual stream of the corrupted run, where all outputs come from it and the embedding at
            the final position is the same: replacing everything must give just that. None otherwise.
    """

    run: FinalRun
    right: int
    answer_ids: tuple[int, ...]
    metric: ChosenMetric
    corrupted: Float[Tensor, " d_model"] | None

    @property
    def wanted(self) -> Wanted:
        """What the metric is computed from."""
        return Wanted(self.answer_ids, self.metric.metric.vocabulary)

    def values(self, instrument: Instrument, final: Float[Tensor, "case d_model"]) -> Float[Tensor, " case"]:
        """The metric of runs with these final residual streams."""
        read = readout_of(instrument, final, self.wanted)
        reference = self.run.base.logits[list(self.answer_ids)]
        return self.metric(LabelLogits(read.logits, read.logsumexp, reference)).double()


def used_questions(
    instrument: Instrument, task: Task, values: dict[str, object], progress: Progress
) -> tuple[list[Used], list[str]]:
    """The questions that have a corrupted prompt, and for each other one the reason why it has none."""
    used: list[Used] = []
    left_out: list[str] = []
    for number, (prompt, within) in enumerate(each_prompt(instrument, task, progress)):
        right = answered(prompt)
        try:
            (pair,) = pairs_of(instrument, task, number, prompt, values, within)
        except RequestError as error:
            left_out.append(str(error))
            continue
        ids, others = prompt.token_ids, pair.other.token_ids
        base = instrument.final_trace(ids, within, many=True)
        other = instrument.final_trace(others, within, many=True)
        same_end = ids[-1] == others[-1] and len(ids) == len(others)
        corrupted = other.resid_final[-1].clone() if same_end else None
        run = FinalRun(ids, base, outputs_of(other))
        used.append(Used(run, right, prompt.answer_ids, pair.metric, corrupted))
    return used, left_out


def with_means(used: Sequence[Used], by_letter: bool) -> list[Used]:
    """The same questions, replaced by mean outputs: over all of them, or over those with the same right letter."""
    rights = [one.right for one in used]
    weights = torch.from_numpy(letters_alike(rights)).float()
    found = []
    for one in used:
        mine = (
            torch.tensor([1.0 if right == one.right else 0.0 for right in rights]) if by_letter else weights
        )
        run = FinalRun(
            one.run.token_ids, one.run.base, _mean([other.run for other in used], mine / mine.sum())
        )
        found.append(Used(run, one.right, one.answer_ids, one.metric, None))
    return found


def _mean(runs: Sequence[FinalRun], weights: Float[Tensor, " run"]) -> FinalOutputs:
    z, mlp_out = torch.zeros_like(runs[0].clean.z), torch.zeros_like(runs[0].clean.mlp_out)
    for run, weight in zip(runs, weights.tolist(), strict=True):
        z += weight * run.clean.z
        mlp_out += weight * run.clean.mlp_out
    return FinalOutputs(z, mlp_out)


def weights_of(used: Sequence[Used]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Weights of questions in which each right letter weighs the same."""
    return np.asarray(letters_alike([one.right for one in used]), dtype=np.float64)
