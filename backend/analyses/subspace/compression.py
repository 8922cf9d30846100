"""How few dimensions of a head's queries and keys are enough: they are projected, the model runs on, loss is measured.

A query q becomes q' = mu + P P^T (q - mu), where mu is the mean query and the rows of P are `rank` directions; keys
likewise (after Lieberum et al. 2023, section 4). From q' and k' the head's output at the final position is computed
with the layer's own rotation and values, and it replaces the head's output in the run. Only this head's final row uses
them.

Example: 40 questions and ranks 0, 3 and 64. The subspaces of each half of 20 questions are fitted on the other half.
For every question these cases are run together: the model as it is, the head at its mean output, the head's output in
another question, then for each rank the projections of `PARTS` (queries and keys, and queries, keys or values alone)
and `DRAWS` random subspaces. Rank 0 is the mean alone. Several heads are run together, and each alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attribution.attribution import net_effect
from backend.analyses.over_questions import at_question
from backend.analyses.subspace.compression_arrays import DRAWS, Table, alone_arrays, arrays_of, kept_shares
from backend.analyses.subspace.fitting import Half, halved, question_of, resampled, span_notes
from backend.analyses.subspace.head_inputs import (
    ByHead,
    HeadOutput,
    HeadRow,
    Options,
    collect_heads,
    require_questions,
)
from backend.analyses.subspace.projections import PARTS, Projection, projected, rotations_of
from backend.analyses.subspace.question_records import count_wrong
from backend.analyses.subspace.replaced_outputs import Outcome, run_replaced
from backend.analyses.subspace.schema import COMPRESSION, RANKS
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance, worst
from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations

RECHECKED = 3
"""How many questions have one case run again as a whole forward pass."""
BASELINES = ("model", "ablated", "resampled")
"""The cases before the projections: the head as it is, at its mean, and as in another question."""


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Loss and accuracy with heads' queries and keys projected onto few dimensions.

    Arrays over `rank`: `loss` with `loss_low` and `loss_high`, `accuracy` with the same, `kl` (of the head's final row
    of attention, clean against projected); `loss_q`, `loss_k`, `loss_v` with queries, keys or values alone projected;
    `loss_random[rank,draw]`, `kl_random[rank,draw]`. Single numbers: `loss_model`, `loss_ablated` (the head at its
    mean), `loss_resampled`. For several heads these are of all projected together, and `kl` is the mean over heads;
    `alone_loss[head,rank]` and so on are of each alone. Scalars `kept_share`, `kept_share_random` and, against
    `loss_resampled`, `kept_share_resampled`, `kept_share_random_resampled`: see `kept_shares`.
    """
    values = COMPRESSION.values(task.request)
    options = Options.of(instrument, values)
    ranks = _ranks(values["ranks"], instrument.shape.d_head)
    runner = _Runner(instrument, options, rotations_of(instrument, options.heads), ranks)
    used, left_out = collect_heads(instrument, task, options, progress)
    require_questions(used, left_out, 4, "fitting on one half and running the other")
    halves = halved(used, options.seed)
    table, alone = runner.tables(halves, progress)
    return Findings(
        arrays={**arrays_of(table, ranks), **alone_arrays([*alone.values()])},
        ticks={"rank": tuple(map(str, ranks)), **({"head": tuple(map(str, alone))} if alone else {})},
        scalars={
            "head": options.name,
            "heads": [str(head) for head in options.heads],
            "kept": len(used),
            "wrong": count_wrong(map(question_of, used)),
            "left_out": left_out,
            "notes": span_notes(halves, tuple(rank for rank in ranks if rank < instrument.shape.d_head)),
            "rank": options.rank,
            **kept_shares(table, ranks, options.rank),
            "alone": [
                {"head": str(head), **kept_shares(own, ranks, options.rank)} for head, own in alone.items()
            ],
        },
        checks=_checks(instrument, [table, *alone.values()]),
    )


def _checks(instrument: Instrument, tables: list[Table]) -> dict[str, tuple[float, float]]:
    limits = tolerance(instrument)
    return {
        "full_rank_error": (worst(float(table["full_rank"].max()) for table in tables), limits.activations),
        "oracle_error": (worst(float(table["oracle"].max()) for table in tables), limits.logits),
    }


@dataclass(frozen=True)
class _Runner:
    """Runs every case of one question; its fields are the same for every question."""

    instrument: Instrument
    options: Options
    rotations: Mapping[int, Rotations]
    ranks: tuple[int, ...]

    def tables(self, halves: list[Half], progress: Progress) -> tuple[Table, dict[HeadRef, Table]]:
        """The figures of every question: with all heads projected together, and for several heads with each alone."""
        several = self.options.heads if len(self.options.heads) > 1 else ()
        together: list[dict[str, Tensor]] = []
        alone: dict[HeadRef, list[dict[str, Tensor]]] = {head: [] for head in several}
        total = sum(len(half.run_on) for half in halves)
        for half in halves:
            for inputs in half.run_on:
                within = at_question(progress, len(together), total)
                rechecked = int(len(together) < RECHECKED)
                for head, rows in alone.items():
                    rows.append(self.row({head: inputs[head]}, half, within, rechecked))
                together.append(self.row(inputs, half, within, rechecked))
        return _stacked(together), {head: _stacked(rows) for head, rows in alone.items()}

    def row(self, inputs: ByHead, half: Half, progress: Progress, rechecked: int) -> dict[str, Tensor]:
        """One question's figures by name, from one sweep with the given heads projected together."""
        cases = self._cases(half)
        # No projection at all comes last: it must give the model's own output.
        nothing_changed = Projection(half.fits, self.instrument.shape.d_head)
        every = [*(case for some in cases.values() for case in some), nothing_changed]
        outputs = projected(self.instrument, inputs, self.rotations, every, progress)
        other = resampled(inputs, half.fit_on, self.options.seed)
        z = {
            head: torch.stack([own.z, half.fits[head].z, other[head], *outputs[head].z[:-1]])
            for head, own in inputs.items()
        }
        outcome = run_replaced(self.instrument, question_of(inputs), z, progress, rechecked)
        divergence = self._divergence(inputs, outputs, progress)
        row = self._baselines(inputs, outcome)
        row["full_rank"] = torch.tensor(
            [largest_share(outputs[head].z[-1], own.z) for head, own in inputs.items()]
        ).max()
        for name, values in _figures(outcome, question_of(inputs).right).items():
            row |= self._by_case(name, cases, values[len(BASELINES) :])
        return row | self._by_case("kl", cases, divergence[:-1])

    def _by_case(
        self, name: str, cases: Collection[str], values: Float[Tensor, " case"]
    ) -> dict[str, Float[Tensor, " rank"]]:
        """One figure's values, those of each case at all ranks, by the figure's name and the case's."""
        by_rank = values.view(len(cases), len(self.ranks))
        return {f"{name}{case}": own for case, own in zip(cases, by_rank, strict=True)}

    def _baselines(self, inputs: ByHead, outcome: Outcome) -> dict[str, Tensor]:
        """The figures of the cases before the projections, and what is the same for all cases."""
        own, first = question_of(inputs), len(BASELINES)
        row = {
            f"{name}_{baseline}": values[number]
            for name, values in _figures(outcome, own.right).items()
            for number, baseline in enumerate(BASELINES)
        }
        return row | {
            "loss_model": torch.tensor(own.loss, dtype=torch.float64),
            "label_logits_model": outcome.logits[0],
            "label_logits": outcome.logits[first : first + len(self.ranks)],
            "right": torch.tensor(own.right),
            "oracle": torch.tensor(outcome.oracle_error),
        }

    def _cases(self, half: Half) -> dict[str, list[Projection]]:
        """At each rank: queries and keys; queries, keys or values alone; and random subspaces."""
        cases = {part: [Projection(half.fits, rank, part) for rank in self.ranks] for part in PARTS}
        for draw in range(DRAWS):
            drawn = {head: fit.at_random(self.options.seed + draw) for head, fit in half.fits.items()}
            cases[f"_random{draw}"] = [Projection(drawn, rank) for rank in self.ranks]
        return cases

    def _divergence(
        self, inputs: ByHead, outputs: Mapping[HeadRef, HeadOutput], progress: Progress
    ) -> Float[Tensor, " case"]:
        """KL of the heads' final rows of attention, clean against projected, in nats; the mean over heads."""
        trace = self.instrument.trace(question_of(inputs).prompt.token_ids, progress)
        found = []
        for head, own in inputs.items():
            row = HeadRow(trace, own, head, self.rotations[head.layer])
            clean = row.output(own.q[None], own.k[None], own.v[None]).attention
            found.append(_kl(clean, outputs[head].attention))
        return torch.stack(found).mean(0)


def _figures(outcome: Outcome, right: int) -> dict[str, Float[Tensor, " case"]]:
    return {
        "loss": outcome.loss,
        "accuracy": outcome.right,
        "net_logit": net_effect(outcome.logits, right),
    }


def _kl(clean: Float[Tensor, "#case key"], other: Float[Tensor, "case key"]) -> Float[Tensor, " case"]:
    """A key without attention adds nothing."""
    least = torch.finfo(clean.dtype).tiny
    clean, other = clean.double(), other.double()
    return (clean * (clean.clamp_min(least).log() - other.clamp_min(least).log())).sum(-1)


def _stacked(rows: list[dict[str, Tensor]]) -> Table:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def usual_ranks(d_head: int) -> list[int]:
    """The ranks that are run by default. The last one, `d_head`, changes nothing."""
    return [rank for rank in RANKS if rank < d_head] + [d_head]


def _ranks(asked: list[int] | None, d_head: int) -> tuple[int, ...]:
    """Raises RequestError for a rank that a head does not have."""
    ranks = usual_ranks(d_head) if asked is None else asked
    if ranks[-1] > d_head:
        raise RequestError(f"A rank is 0 to {d_head}, a head's dimensions, not {shown(ranks[-1])}.")
    return tuple(ranks)
