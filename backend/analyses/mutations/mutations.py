"""What label mutations do to the model and to heads' subspaces: mutation x condition -> loss and accuracy.

Lieberum et al. 2023, section 4, mutate the labels; the conditions and the numbers are ours. A condition replaces the
heads' outputs at the final position, as `compression` does: with their mean, with another question's, or with what
low-rank queries and keys, low-rank values, or mean queries and keys give.

Example: the mutations `base` and `numbers`, 12 questions. Both are split into the same two halves of 6 questions. A
question of the first half under `numbers` is run with subspaces fitted on the second half under `numbers`, and for the
matrix `transfer` also with those fitted on the second half under `base`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attention.attention_to_right import to_right
from backend.analyses.mutations.mutation_arrays import Samples, alone_arrays
from backend.analyses.mutations.schema import MUTATIONS_ANALYSIS
from backend.analyses.over_questions import at_question
from backend.analyses.subspace.compression import RECHECKED
from backend.analyses.subspace.fitting import (
    Fits,
    Half,
    halved,
    halved_alike,
    numbers_of,
    question_of,
    resampled,
    span_notes,
)
from backend.analyses.subspace.head_inputs import ByHead, Options, collect_heads, require_questions
from backend.analyses.subspace.projections import Projection, projected, rotations_of
from backend.analyses.subspace.question_records import count_wrong
from backend.analyses.subspace.replaced_outputs import run_replaced
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.errors import QuestionError, RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations
from backend.questions.mutations import MUTATIONS
from backend.questions.prompt import Prompt

CONDITIONS = {
    "whole": "whole model",
    "ablated_mean": "head at its mean",
    "ablated_resample": "head from another question",
    "low_rank_qk": "low-rank queries and keys",
    "low_rank_v": "low-rank values",
    "mean_qk": "mean queries and keys",
}


@dataclass(frozen=True)
class Usable:
    """The questions that can be used under one mutation.

    Attributes:
        halves: each half of the questions with what was fitted on the other.
        example: the first question's prompt.
        left_out: the stem of each question left out, and the reason.
    """

    halves: list[Half]
    example: str
    left_out: list[dict[str, str]]

    @property
    def questions(self) -> list[ByHead]:
        """The questions of both halves."""
        return [inputs for half in self.halves for inputs in half.run_on]


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Loss and accuracy of each mutation under each condition.

    Arrays `loss`, `loss_low`, `loss_high`, `accuracy`, `accuracy_low`, `accuracy_high[mutation,condition]`;
    `transfer[fitted,mutation]`: the loss with low-rank queries and keys fitted under one mutation and run under
    another; `right_share`, `letter_share`, `right_top[mutation]` with intervals: where the head attends. For several
    heads the losses are with all outputs replaced together; `alone_loss[head,mutation,condition]`,
    `alone_right_share[head,mutation]` and so on are of each head alone.
    """
    options = Options.of(instrument, MUTATIONS_ANALYSIS.values(task.request))
    rotations = rotations_of(instrument, options.heads)
    found, left_out = _usable(instrument, task, options, progress)
    together, alone = _Runner(instrument, options, rotations, task.request.prompt.labels).run(found, progress)
    several = {"head": tuple(map(str, options.heads))} if alone else {}
    return Findings(
        arrays={**together.arrays(), **alone_arrays(alone)},
        ticks={"mutation": tuple(found), "condition": tuple(CONDITIONS), "fitted": tuple(found), **several},
        scalars={
            "head": options.name,
            "heads": [str(head) for head in options.heads],
            "rank": options.rank,
            "kept": together.kept,
            "mutations": [
                {
                    "name": name,
                    "title": MUTATIONS[name].title,
                    "example": usable.example,
                    "kept": len(usable.questions),
                    "wrong": count_wrong(map(question_of, usable.questions)),
                    "left_out": usable.left_out,
                }
                for name, usable in found.items()
            ],
            "conditions": [{"name": name, "title": title} for name, title in CONDITIONS.items()],
            "left_out": left_out,
            "notes": span_notes(next(iter(found.values())).halves, (options.rank,)),
        },
        checks={
            "oracle_error": (
                worst(table.oracle_error for table in (together, *alone)),
                tolerance(instrument).logits,
            )
        },
    )


def _usable(
    instrument: Instrument, task: Task, options: Options, progress: Progress
) -> tuple[dict[str, Usable], list[dict[str, str]]]:
    """The mutations that can be used, and those that cannot with the reason. Raises RequestError where none can.

    All use questions of the first mutation, split into the same halves. With `keep` 'right' the model must answer a
    question right under the first mutation only.
    """
    found: dict[str, Usable] = {}
    left_out: list[dict[str, str]] = []
    for name in MUTATIONS:
        first = next(iter(found.values()), None)
        filtered = options if first is None else replace(options, keep="all")
        try:
            prompts = _mutated(instrument, task, name, options.seed)
            if prompts[0].text in [usable.example for usable in found.values()]:
                raise QuestionError("It changes nothing here.")
            kept, reasons = collect_heads(instrument, task, filtered, progress, prompts)
            if first is not None:
                allowed = numbers_of(first.questions)
                kept = [inputs for inputs in kept if question_of(inputs).number in allowed]
            require_questions(kept, reasons, 4, "fitting on one half and running the other")
            halves = halved(kept, options.seed) if first is None else halved_alike(kept, first.halves)
            found[name] = Usable(halves, prompts[0].text, reasons)
        except (QuestionError, RequestError) as error:
            left_out.append({"name": name, "reason": str(error)})
    if not found:
        raise RequestError(f"None of the mutations can be used. The first: {left_out[0]['reason']}")
    return found, left_out


def _mutated(instrument: Instrument, task: Task, name: str, seed: int) -> list[Prompt]:
    """The task's prompts under a mutation.

    Raises QuestionError where a label is not one token, or a question cannot be mutated.
    """
    prompts = []
    for question, shots in zip(task.questions, task.shots, strict=True):
        changed, spec = MUTATIONS[name].change(question, task.request.prompt, seed)
        prompts.append(instrument.prompt(changed, spec, shots))
    return prompts


@dataclass(frozen=True)
class _Runner:
    """Runs all conditions; its fields are the same for every question and mutation."""

    instrument: Instrument
    options: Options
    rotations: Mapping[int, Rotations]
    labels: tuple[str, ...]

    def run(self, found: Mapping[str, Usable], progress: Progress) -> tuple[Samples, list[Samples]]:
        """The samples of all heads together, and for several heads those of each alone."""
        heads = self.options.heads
        sets = [heads, *((head,) for head in heads)] if len(heads) > 1 else [heads]
        tables = [Samples() for _ in sets]
        total = sum(len(usable.questions) for usable in found.values())
        done = 0
        for usable in found.values():
            for table in tables:
                table.begin()
            for number, half in enumerate(usable.halves):
                fitted = [others.halves[number].fits for others in found.values()]
                for inputs in half.run_on:
                    within = at_question(progress, done, total)
                    for table, some in zip(tables, sets, strict=True):
                        chosen = {head: inputs[head] for head in some}
                        self._add(table, chosen, half, fitted, within, int(done < RECHECKED))
                    done += 1
        return tables[0], tables[1:]

    def _add(
        self,
        table: Samples,
        inputs: ByHead,
        half: Half,
        fitted: Sequence[Fits],
        progress: Progress,
        rechecked: int,
    ) -> None:
        """Run one question under every condition, and with what was fitted under every mutation."""
        z = self._outputs(inputs, half, fitted, progress)
        outcome = run_replaced(self.instrument, question_of(inputs), z, progress, rechecked)
        conditions = len(CONDITIONS)
        table.loss[-1].append(outcome.loss[:conditions])
        table.right[-1].append(outcome.right[:conditions])
        table.transfer[-1].append(outcome.loss[conditions:])
        if len(inputs) == 1:
            (head,) = inputs
            own = question_of(inputs).prompt
            trace = self.instrument.trace(own.token_ids, progress)
            table.attention[-1].append(to_right(trace, head, own, self.labels))
        table.oracle_error = worst((table.oracle_error, outcome.oracle_error))

    def _outputs(
        self, inputs: ByHead, half: Half, fitted: Sequence[Fits], progress: Progress
    ) -> dict[HeadRef, Float[Tensor, "case d_head"]]:
        """Each head's output under each condition of `CONDITIONS`, then with what was fitted under each mutation."""
        rank, other = self.options.rank, resampled(inputs, half.fit_on, self.options.seed)
        cases = {
            "low_rank_qk": Projection(half.fits, rank),
            "low_rank_v": Projection(half.fits, rank, "_v"),
            "mean_qk": Projection(half.fits, 0),
        }
        every = [*cases.values(), *(Projection(fits, rank) for fits in fitted)]
        projections = projected(self.instrument, inputs, self.rotations, every, progress)
        outputs = {}
        for head, own in inputs.items():
            z = projections[head].z
            conditions = {
                "whole": own.z,
                "ablated_mean": half.fits[head].z,
                "ablated_resample": other[head],
                **dict(zip(cases, z, strict=False)),
            }
            outputs[head] = torch.stack([*(conditions[name] for name in CONDITIONS), *z[len(cases) :]])
        return outputs
