"""What label mutations do to the model and to heads' subspaces: mutation x condition -> loss and accuracy.

Lieberum et al. 2023, section 5, list the mutations; conditions and numbers are ours. A condition exchanges the heads'
outputs at the final position, as `compression` does: for their mean, another question's, or what low-rank queries and
keys, low-rank values, or mean queries and keys give. Each half of the questions is run with what was fitted on the
other half, under the same mutation; the matrix `transfer` fits under one and runs under another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.analysis import Analysis, Findings, Task, array
from backend.analyses.compression import RECHECKED
from backend.analyses.exchange import patched
from backend.analyses.fitting import Fits, Half, halved, question_of, resampled
from backend.analyses.head_inputs import ByHead, Options, collected_heads, enough
from backend.analyses.intervals import mean_interval, share_intervals
from backend.analyses.over_questions import at_question
from backend.analyses.projections import Projection, projected, rotations_of
from backend.analyses.tolerance import tolerance
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations
from backend.errors import QuestionError, RequestError
from backend.progress import Progress
from backend.questions.mutations import MUTATIONS
from backend.questions.prompt import Prompt
from backend.results.request import HeadRef
from backend.results.result import Array

CONDITIONS = {
    "whole": "whole model",
    "ablated_mean": "head at its mean",
    "ablated_resample": "head from another question",
    "low_rank_qk": "low-rank queries and keys",
    "low_rank_v": "low-rank values",
    "mean_qk": "mean queries and keys",
}


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Loss and accuracy of each mutation under each condition.

    Arrays `loss`, `loss_low`, `loss_high`, `accuracy`, `accuracy_low`, `accuracy_high[mutation,condition]`;
    `transfer[fitted,mutation]`: the loss with low-rank queries and keys fitted under one mutation, run under another.
    Of several heads these are of all exchanged together; each alone has `alone_loss[head,mutation,condition]` and so
    on.
    """
    options = replace(Options.of(instrument, task.request), rotated=False)
    rotations = rotations_of(instrument, options.heads)
    found: dict[str, list[Half]] = {}
    examples: dict[str, str] = {}
    left_out: list[dict[str, str]] = []
    for name in MUTATIONS:
        try:
            prompts = _mutated(instrument, task, name, options.seed)
            if examples and prompts[0].text in examples.values():
                raise QuestionError("It changes nothing here.")
            kept, reasons = collected_heads(instrument, task, options, progress, prompts)
            enough(kept, reasons, 4, "fitting on one half and running the other")
            found[name] = halved(kept, options.seed)
            examples[name] = prompts[0].text
        except (QuestionError, RequestError) as error:
            left_out.append({"name": name, "reason": str(error)})
    if not found:
        raise RequestError(f"None of the mutations can be used. The first: {left_out[0]['reason']}")
    runner = _Runner(instrument, options, rotations)
    together, alone = runner.tables(found, progress)
    several = {"head": tuple(map(str, options.heads))} if alone else {}
    return Findings(
        arrays={**together.arrays(), **_alone(alone)},
        ticks={"mutation": tuple(found), "condition": tuple(CONDITIONS), "fitted": tuple(found), **several},
        scalars={
            "head": options.name,
            "heads": [str(head) for head in options.heads],
            "rank": options.rank,
            "kept": together.kept,
            "mutations": [
                {"name": name, "title": MUTATIONS[name].title, "example": example}
                for name, example in examples.items()
            ],
            "conditions": [{"name": name, "title": title} for name, title in CONDITIONS.items()],
            "left_out": left_out,
        },
        checks={
            "oracle_error": (
                max(table.oracle_error for table in (together, *alone)),
                tolerance(instrument).logits,
            )
        },
    )


def _mutated(instrument: Instrument, task: Task, name: str, seed: int) -> list[Prompt]:
    """The task's prompts under a mutation. Raises QuestionError where one cannot be mutated or a label is no token."""
    prompts = []
    for question, shots in zip(task.questions, task.shots, strict=True):
        changed, spec = MUTATIONS[name].change(question, task.request.prompt, seed)
        prompts.append(instrument.prompt(changed, spec, shots))
    return prompts


@dataclass
class _Table:
    """By mutation the samples `[question, condition]`, and `[question, fitted]` of each mutation fitted under."""

    loss: list[list[Tensor]] = field(default_factory=list)
    right: list[list[Tensor]] = field(default_factory=list)
    transfer: list[list[Tensor]] = field(default_factory=list)
    oracle_error: float = 0.0

    @property
    def kept(self) -> int:
        """How many questions the first mutation has."""
        return len(self.loss[0])

    def begin(self) -> None:
        """The rows that follow are of another mutation."""
        for samples in (self.loss, self.right, self.transfer):
            samples.append([])

    def arrays(self) -> dict[str, Array]:
        axes = ("mutation", "condition")
        losses = [mean_interval(torch.stack(samples).numpy()) for samples in self.loss]
        shares = [share_intervals(torch.stack(samples).numpy()) for samples in self.right]
        arrays = {}
        for place, suffix in enumerate(("", "_low", "_high")):
            arrays[f"loss{suffix}"] = array(np.stack([ends[place] for ends in losses]), axes, "nats")
            arrays[f"accuracy{suffix}"] = array(np.stack([ends[place] for ends in shares]), axes, "share")
        transfer = torch.stack([torch.stack(samples).mean(0) for samples in self.transfer], 1)
        return {**arrays, "transfer": array(transfer, ("fitted", "mutation"), "nats")}


def _alone(tables: Sequence[_Table]) -> dict[str, Array]:
    """The same of each of several heads alone."""
    each = [table.arrays() for table in tables]
    return {
        f"alone_{name}": array(
            np.stack([arrays[name].values for arrays in each]), ("head", *first.axes), first.unit
        )
        for name, first in (each[0].items() if each else ())
    }


@dataclass(frozen=True)
class _Runner:
    """What is the same for every question and mutation."""

    instrument: Instrument
    options: Options
    rotations: Mapping[int, Rotations]

    def tables(self, found: Mapping[str, list[Half]], progress: Progress) -> tuple[_Table, list[_Table]]:
        """That of all heads together and, of several, that of each alone."""
        heads = self.options.heads
        sets = [heads, *((head,) for head in heads)] if len(heads) > 1 else [heads]
        tables = [_Table() for _ in sets]
        total = sum(len(half.run_on) for halves in found.values() for half in halves)
        done = 0
        for halves in found.values():
            for table in tables:
                table.begin()
            for number, half in enumerate(halves):
                fitted = [others[number].fits for others in found.values()]
                for inputs in half.run_on:
                    within = at_question(progress, done, total)
                    for table, some in zip(tables, sets, strict=True):
                        chosen = {head: inputs[head] for head in some}
                        self._add(table, chosen, half, fitted, within, int(done < RECHECKED))
                    done += 1
        return tables[0], tables[1:]

    def _add(
        self,
        table: _Table,
        inputs: ByHead,
        half: Half,
        fitted: Sequence[Fits],
        progress: Progress,
        rechecked: int,
    ) -> None:
        z = self._outputs(inputs, half, fitted, progress)
        outcome = patched(self.instrument, question_of(inputs), z, progress, rechecked)
        conditions = len(CONDITIONS)
        table.loss[-1].append(outcome.loss[:conditions])
        table.right[-1].append(outcome.right[:conditions])
        table.transfer[-1].append(outcome.loss[conditions:])
        table.oracle_error = max(table.oracle_error, outcome.oracle_error)

    def _outputs(
        self, inputs: ByHead, half: Half, fitted: Sequence[Fits], progress: Progress
    ) -> dict[HeadRef, Float[Tensor, "case d_head"]]:
        """Each head's output under each condition, then with what was fitted under each mutation."""
        rank, other = self.options.rank, resampled(inputs, half.fit_on, self.options.seed)
        cases = {
            "low_rank_qk": Projection(half.fits, rank),
            "low_rank_v": Projection(half.fits, rank, "_v"),
            "mean_qk": Projection(half.fits, 0),
        }
        every = [*cases.values(), *(Projection(fits, rank) for fits in fitted)]
        reads = projected(self.instrument, inputs, self.rotations, every, progress)
        outputs = {}
        for head, own in inputs.items():
            z = reads[head].z
            conditions = {
                "whole": own.z,
                "ablated_mean": half.fits[head].z,
                "ablated_resample": other[head],
                **dict(zip(cases, z, strict=False)),
            }
            outputs[head] = torch.stack([*(conditions[name] for name in CONDITIONS), *z[len(cases) :]])
        return outputs


MUTATIONS_ANALYSIS = Analysis(
    name="mutations",
    version=1,
    summary="loss and accuracy under label mutations, of the whole model and with heads ablated or of low rank",
    takes=("questions",),
    run=run,
    params=("head", "heads", "rank", "at", "seed"),
)
