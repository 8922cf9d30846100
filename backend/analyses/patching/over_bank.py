"""Activation patching over several questions: all positions of a role patched together, aligned by role.

Example: for the role "label 1" of a prompt whose second label takes two tokens, both are patched in one run. Where a
position has no counterpart in the corrupted prompt it is left out; where none has one, the cell is NaN.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from backend.analyses.bootstrap import Floats, mean_over_questions, share_of_means, sign_flip_p
from backend.analyses.findings import array, layer_head_ticks
from backend.analyses.intervals import letters_alike, with_ends
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.patching.metrics import LabelLogits
from backend.analyses.patching.pairs import Pair, pairs_of
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.components import COMPONENTS
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.contract.result import Array
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_normalizer
from backend.engine.sweep import Cell, Node, RunSource, Sweep, Swept, Wanted, all_cells, recheck, run_sweeps
from backend.engine.trace import Trace
from backend.questions.prompt import Prompt

RECHECKED = 6
"""Of so many questions one cell each is run again as a whole pass."""


@dataclass(frozen=True)
class _Case:
    """One corrupted prompt of question `number`, counted among those that can be patched."""

    number: int
    pair: Pair
    prompt: Prompt


@dataclass
class _Bank:
    """The questions that can be patched: their cases and right labels, and why others are left out."""

    cases: list[_Case] = field(default_factory=list)
    rights: list[int] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of all prompts; first those of the prompt with the most, in their order there."""
        prompts = [case.prompt for case in self.cases]
        longest = max(prompts, key=lambda prompt: len({*prompt.roles}))
        return tuple(dict.fromkeys(role for prompt in (longest, *prompts) for role in prompt.roles))


def over_bank(instrument: Instrument, task: Task, values: Mapping[str, Any], progress: Progress) -> Findings:
    """Means over questions with 95 % bootstrap intervals and p-values, each right letter weighed alike.

    A question counts as the mean over its corrupted prompts. Raises RequestError where no question can be patched.
    """
    bank = _bank(instrument, task, values, progress)
    roles = ("final",) if values["positions"] == "final" else bank.roles
    patched = _Patched(instrument, bank.cases, roles, values)
    samples, ends = patched.run(progress)
    numbers = np.array([case.number for case in bank.cases])
    questions = range(len(bank.rights))
    samples = np.stack([samples[numbers == number].mean(0) for number in questions])
    clean, corrupted = np.stack([ends[numbers == number].mean(0) for number in questions]).T
    component, metric = COMPONENTS[values["component"]], bank.cases[0].pair.metric.metric
    weights = letters_alike(bank.rights)
    denoise = values["direction"] == "denoise"
    ticks = layer_head_ticks(instrument)
    heads = component.head_count(instrument.shape)
    return Findings(
        arrays={
            **_arrays(samples, clean, corrupted, weights, component.role_axes, metric.unit),
            "p_value": array(
                sign_flip_p(_less(samples, corrupted if denoise else clean), weights),
                component.role_axes,
                "probability",
            ),
        },
        ticks={
            "layer": ticks["layer"],
            **({} if heads is None else {component.role_axes[1]: tuple(str(head) for head in range(heads))}),
            "role": roles,
        },
        scalars={
            "metric": metric.name,
            "component": component.name,
            "direction": values["direction"],
            "count": len(samples),
            "left_out": len(bank.left_out),
            "reasons": bank.left_out,
            "clean": float(weights @ clean),
            "corrupted": float(weights @ corrupted),
        },
        checks={"oracle_error": (worst(patched.errors), tolerance(instrument).logits)},
    )


def _bank(instrument: Instrument, task: Task, values: Mapping[str, Any], progress: Progress) -> _Bank:
    bank = _Bank()
    for number, (prompt, within) in enumerate(each_prompt(instrument, task, progress)):
        right = answered(prompt)
        try:
            pairs = pairs_of(instrument, task, number, prompt, values, within)
            if values["component"] == "pattern" and not all(pair.other.aligned for pair in pairs):
                raise RequestError("A pattern can be patched between prompts of the same length only.")
        except RequestError as error:
            bank.left_out.append(str(error))
            continue
        bank.cases += [_Case(len(bank.rights), pair, prompt) for pair in pairs]
        bank.rights.append(right)
    if not bank.cases:
        raise RequestError(f"None of the questions can be patched. The first: {bank.left_out[0]}")
    return bank


class _Patched:
    """All cases patched: every cell of the component at every role.

    Attributes:
        errors: the largest differences of a few cells to whole passes.
    """

    def __init__(
        self, instrument: Instrument, cases: Sequence[_Case], roles: Sequence[str], values: Mapping[str, Any]
    ) -> None:
        self.errors: list[float] = []
        self._instrument, self._cases, self._roles = instrument, cases, roles
        self._component, self._direction = values["component"], values["direction"]
        self._ends: list[tuple[float, float]] = []

    def run(self, progress: Progress) -> tuple[Floats, Floats]:
        """The metric of every cell, `[case, ...]` with NaN where nothing can be patched, and of the clean and the
        corrupted run, `[case, 2]`."""
        found = []
        sweeps = run_sweeps(self._instrument, self._sweeps(), len(self._cases), progress)
        for number, swept in enumerate(sweeps):
            found.append(self._values(number, swept))
            if number < RECHECKED:
                sweep = self._sweep(self._cases[number])
                self.errors.append(recheck(self._instrument, sweep, swept, count=1, progress=progress))
        return np.stack(found), np.array(self._ends)

    def _sweeps(self) -> Iterator[Sweep]:
        for case in self._cases:
            pair = case.pair
            ends = [self._trace(ids).logits for ids in (case.prompt.token_ids, pair.other.token_ids)]
            self._ends.append(tuple(self._metric(case, torch.stack(ends)).tolist()))
            yield self._sweep(case)

    def _trace(self, ids: tuple[int, ...]) -> Trace:
        if self._roles == ("final",) and self._component != "pattern":
            return self._instrument.final_trace(ids, many=True)
        return self._instrument.trace(ids)

    def _sweep(self, case: _Case) -> Sweep:
        runs = case.pair.runs(self._direction)
        source = RunSource(runs.pairing, self._trace(runs.source))
        wanted = Wanted(case.pair.token_ids, case.pair.vocabulary)
        return Sweep(runs.base, source, self._sets(case), wanted)

    def _sets(self, case: _Case) -> list[list[Node]]:
        """One set for each cell: the component at all positions of a role that can be patched."""
        counterparts = case.pair.runs(self._direction).base_positions
        at = {
            role: [
                found
                for position in case.prompt.positions(role)
                if (found := counterparts[position]) is not None
            ]
            for role in self._roles
        }
        cells = all_cells(self._component, self._instrument.shape, range(len(self._roles)))
        return [
            [
                (self._component, Cell(cell.layer, place, cell.head))
                for place in at[self._roles[cell.position]]
            ]
            for cell in cells
        ]

    def _metric(self, case: _Case, logits: torch.Tensor) -> torch.Tensor:
        """The metric of whole rows of logits `[run, vocabulary]`, the first of them the clean run's."""
        ids = list(case.pair.token_ids)
        total = log_normalizer(logits) if case.pair.vocabulary else None
        return case.pair.metric(LabelLogits(logits[:, ids], total, logits[0, ids])).double()

    def _values(self, number: int, swept: Swept) -> Floats:
        case = self._cases[number]
        reference = self._trace(case.prompt.token_ids).logits[list(case.pair.token_ids)]
        values = case.pair.metric(LabelLogits(swept.logits, swept.logsumexp, reference)).double()
        values[torch.tensor([not nodes for nodes in self._sets(case)])] = float("nan")
        heads = COMPONENTS[self._component].head_count(self._instrument.shape)
        shape = [self._instrument.shape.layers, *([] if heads is None else [heads]), len(self._roles)]
        return np.asarray(values.view(shape).numpy())


def _less(samples: Floats, base: Floats) -> Floats:
    """Samples `[question, ...]` minus one number for each question."""
    return np.asarray(samples - base.reshape(-1, *[1] * (samples.ndim - 1)))


def _arrays(
    samples: Floats, clean: Floats, corrupted: Floats, weights: Floats, axes: tuple[str, ...], unit: str
) -> dict[str, Array]:
    return {
        **with_ends("values", mean_over_questions(samples, weights), axes, unit),
        **with_ends("recovered", share_of_means(samples, clean, corrupted, weights), axes, "share"),
        "values_each": array(samples, ("question", *axes), unit),
        "clean_each": array(clean, ("question",), unit),
        "corrupted_each": array(corrupted, ("question",), unit),
    }
