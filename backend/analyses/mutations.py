"""What label mutations do to the model and to one head's subspaces: mutation x condition -> loss and accuracy.

Lieberum et al. 2023, section 5, list the mutations; conditions and numbers are ours. A condition exchanges the head's
output at the final position, as `compression` does: for its mean, another question's, or what low-rank queries and
keys, low-rank values, or mean queries and keys give. Each half of the questions is run with what was fitted on the
other half, under the same mutation; the matrix `transfer` fits under one and runs under another.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.analysis import Analysis, Findings, Task, array
from backend.analyses.compression import RECHECKED, Fit, fits, patched, projected, resampled
from backend.analyses.head_inputs import HeadInputs, Options, collected, enough
from backend.analyses.intervals import mean_interval, share_interval
from backend.analyses.over_questions import at_question
from backend.analyses.tolerance import tolerance
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations
from backend.errors import QuestionError, RequestError
from backend.progress import Progress
from backend.questions.mutations import MUTATIONS
from backend.questions.prompt import Prompt
from backend.results.result import Array

CONDITIONS = {
    "whole": "whole model",
    "ablated_mean": "head at its mean",
    "ablated_resample": "head from another question",
    "low_rank_qk": "low-rank queries and keys",
    "low_rank_v": "low-rank values",
    "mean_qk": "mean queries and keys",
}


@dataclass(frozen=True)
class Half:
    """Half of the questions under one mutation, those of the other half, and what was fitted on these."""

    run_on: list[HeadInputs]
    fit_on: list[HeadInputs]
    fit: Fit


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Loss and accuracy of each mutation under each condition.

    Arrays `loss`, `loss_low`, `loss_high`, `accuracy`, `accuracy_low`, `accuracy_high[mutation,condition]`;
    `transfer[fitted,mutation]`: the loss with low-rank queries and keys fitted under one mutation, run under another.
    """
    options = replace(Options.of(instrument, task.request), rotated=False)
    rotations = Rotations(instrument, options.head.layer)
    found: dict[str, list[Half]] = {}
    examples: dict[str, str] = {}
    left_out: list[dict[str, str]] = []
    for name in MUTATIONS:
        try:
            prompts = _mutated(instrument, task, name, options.seed)
            if examples and prompts[0].text in examples.values():
                raise QuestionError("It changes nothing here.")
            kept, reasons = collected(instrument, task, options, progress, prompts)
            enough(kept, reasons, 4, "fitting on one half and running the other")
            found[name] = [Half(*half) for half in fits(kept, options)]
            examples[name] = prompts[0].text
        except (QuestionError, RequestError) as error:
            left_out.append({"name": name, "reason": str(error)})
    if not found:
        raise RequestError(f"None of the mutations can be used. The first: {left_out[0]['reason']}")
    table = _table(instrument, options, rotations, found, progress)
    return Findings(
        arrays=table.arrays(),
        ticks={"mutation": tuple(found), "condition": tuple(CONDITIONS), "fitted": tuple(found)},
        scalars={
            "head": str(options.head),
            "rank": options.rank,
            "kept": table.loss[0].shape[0],
            "mutations": [
                {"name": name, "title": MUTATIONS[name].title, "example": example}
                for name, example in examples.items()
            ],
            "conditions": [{"name": name, "title": title} for name, title in CONDITIONS.items()],
            "left_out": left_out,
        },
        checks={"oracle_error": (table.oracle_error, tolerance(instrument).logits)},
    )


def _mutated(instrument: Instrument, task: Task, name: str, seed: int) -> list[Prompt]:
    """The task's prompts under a mutation. Raises QuestionError where one cannot be mutated or a label is no token."""
    prompts = []
    for question, shots in zip(task.questions, task.shots, strict=True):
        changed, spec = MUTATIONS[name].change(question, task.request.prompt, seed)
        prompts.append(instrument.prompt(changed, spec, shots))
    return prompts


@dataclass(frozen=True)
class _Table:
    """By mutation the samples of each condition, and of each mutation fitted under."""

    loss: list[Float[Tensor, "question condition"]]
    right: list[Float[Tensor, "question condition"]]
    transfer: list[Float[Tensor, "question fitted"]]
    oracle_error: float

    def arrays(self) -> dict[str, Array]:
        axes = ("mutation", "condition")
        ends = [mean_interval(samples.numpy()) for samples in self.loss]
        shares = [
            [share_interval(int(hits), len(samples)) for hits in samples.sum(0)] for samples in self.right
        ]
        arrays = {}
        for place, suffix in enumerate(("", "_low", "_high")):
            arrays[f"loss{suffix}"] = array(np.stack([end[place] for end in ends]), axes, "nats")
            accuracy = np.array([[share[place] for share in row] for row in shares])
            arrays[f"accuracy{suffix}"] = array(accuracy, axes, "share")
        transfer = torch.stack([samples.mean(0) for samples in self.transfer], 1)
        return {**arrays, "transfer": array(transfer, ("fitted", "mutation"), "nats")}


def _table(
    instrument: Instrument,
    options: Options,
    rotations: Rotations,
    found: dict[str, list[Half]],
    progress: Progress,
) -> _Table:
    table, error = _Table([], [], [], 0.0), 0.0
    total = sum(len(half.run_on) for halves in found.values() for half in halves)
    done = 0
    for halves in found.values():
        loss, right, transfer = [], [], []
        for number, half in enumerate(halves):
            fitted = [others[number].fit for others in found.values()]
            for inputs in half.run_on:
                within = at_question(progress, done, total)
                z = _outputs(instrument, inputs, options, rotations, half, fitted, within)
                outcome = patched(instrument, inputs, options, z, within, int(done < RECHECKED))
                conditions = len(CONDITIONS)
                loss.append(outcome.loss[:conditions])
                right.append(outcome.right[:conditions])
                transfer.append(outcome.loss[conditions:])
                error, done = max(error, outcome.oracle_error), done + 1
        for samples, rows in ((table.loss, loss), (table.right, right), (table.transfer, transfer)):
            samples.append(torch.stack(rows))
    return replace(table, oracle_error=error)


def _outputs(
    instrument: Instrument,
    inputs: HeadInputs,
    options: Options,
    rotations: Rotations,
    half: Half,
    fitted: list[Fit],
    progress: Progress,
) -> Float[Tensor, "case d_head"]:
    """The head's output under each condition, then with what was fitted under each mutation."""
    trace = instrument.trace(inputs.prompt.token_ids, progress)

    def at(fit: Fit, rank: int, part: str = "") -> Tensor:
        return projected(trace, inputs, options, rotations, fit, (rank,), part).z[0]

    conditions = {
        "whole": inputs.z,
        "ablated_mean": half.fit.z,
        "ablated_resample": resampled(inputs, half.fit_on, options.seed),
        "low_rank_qk": at(half.fit, options.rank),
        "low_rank_v": at(half.fit, options.rank, "_v"),
        "mean_qk": at(half.fit, 0),
    }
    return torch.stack([conditions[name] for name in CONDITIONS] + [at(fit, options.rank) for fit in fitted])


MUTATIONS_ANALYSIS = Analysis(
    name="mutations",
    version=1,
    summary="loss and accuracy under label mutations, of the whole model and with one head ablated or of low rank",
    takes=("questions",),
    run=run,
    params=("head", "rank", "at", "seed"),
)
