"""How few dimensions of heads' queries and keys do: projected, run, and read off.

q' = mu + P P^T (q - mu), likewise for keys (after Lieberum et al. 2023, section 4). From them the head's output at the
final position is computed, with the layer's own rotation and values, and patched into the run: all above is the
model's. Each half of the questions is run with the subspaces fitted on the other. Beside it stand random subspaces of
the same rank, the mean alone (rank 0), the unchanged model, and the head ablated: its output at its mean, or another
question's. Keys are exchanged for this head's final row only. Several heads are run together, and each alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attribution.attribution import net_effect
from backend.analyses.over_questions import at_question
from backend.analyses.subspace.compression_arrays import DRAWS, Table, alone_arrays, arrays_of, kept_shares
from backend.analyses.subspace.exchange import patched
from backend.analyses.subspace.fitting import Half, halved, question_of, resampled, span_notes
from backend.analyses.subspace.head_inputs import ByHead, Options, Read, collected_heads, enough, read_with
from backend.analyses.subspace.projections import PARTS, Projection, projected, rotations_of
from backend.analyses.subspace.questions_told import wrong
from backend.analyses.subspace.schema import COMPRESSION, RANKS
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance, worst
from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations

RECHECKED = 3


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Loss and accuracy of heads' queries and keys projected onto few dimensions.

    Arrays over `rank`: `loss` with `loss_low` and `loss_high`, `accuracy` with the same, `kl` (of the head's final row
    of attention, clean against projected); `loss_q`, `loss_k`, `loss_v` of queries, keys and values alone;
    `loss_random[rank,draw]`, `kl_random[rank,draw]`. Single numbers: `loss_model`, `loss_ablated` (the head at its
    mean), `loss_resampled`. Of several heads these are of all projected together, `kl` being their mean; each alone has
    `alone_loss[head,rank]` and so on. Scalars `kept_share`, `kept_share_random` and, against `loss_resampled`,
    `kept_share_resampled`, `kept_share_random_resampled`: see `kept_shares`.
    """
    values = COMPRESSION.values(task.request)
    options = Options.of(instrument, values)
    ranks = _ranks(values["ranks"], instrument.shape.d_head)
    runner = _Runner(instrument, options, rotations_of(instrument, options.heads), ranks)
    kept, left_out = collected_heads(instrument, task, options, progress)
    enough(kept, left_out, 4, "fitting on one half and running the other")
    several = options.heads if len(options.heads) > 1 else ()
    together: list[dict[str, Tensor]] = []
    alone: dict[HeadRef, list[dict[str, Tensor]]] = {head: [] for head in several}
    halves = halved(kept, options.seed)
    for half in halves:
        for inputs in half.run_on:
            within = at_question(progress, len(together), len(kept))
            rechecked = int(len(together) < RECHECKED)
            for head, rows in alone.items():
                rows.append(runner.row({head: inputs[head]}, half, within, rechecked))
            together.append(runner.row(inputs, half, within, rechecked))
    table, tables = _stacked(together), {head: _stacked(rows) for head, rows in alone.items()}
    return Findings(
        arrays={**arrays_of(table, ranks), **alone_arrays([*tables.values()])},
        ticks={"rank": tuple(map(str, ranks)), **({"head": tuple(map(str, several))} if several else {})},
        scalars={
            "head": options.name,
            "heads": [str(head) for head in options.heads],
            "kept": len(kept),
            "wrong": wrong(map(question_of, kept)),
            "left_out": left_out,
            "notes": span_notes(halves, tuple(rank for rank in ranks if rank < instrument.shape.d_head)),
            "rank": options.rank,
            **kept_shares(table, ranks, options.rank),
            "alone": [
                {"head": str(head), **kept_shares(own, ranks, options.rank)} for head, own in tables.items()
            ],
        },
        checks={
            name: (worst(float(one[field].max()) for one in (table, *tables.values())), limit)
            for name, field, limit in (
                ("full_rank_error", "full_rank", tolerance(instrument).activations),
                ("oracle_error", "oracle", tolerance(instrument).logits),
            )
        },
    )


@dataclass(frozen=True)
class _Runner:
    """What is the same for every question."""

    instrument: Instrument
    options: Options
    rotations: Mapping[int, Rotations]
    ranks: tuple[int, ...]

    def row(self, inputs: ByHead, half: Half, progress: Progress, rechecked: int) -> dict[str, Tensor]:
        """One question's figures by name, in one sweep of all heads given."""
        cases = self._cases(half)
        # The last is no projection at all, to see that nothing else changes.
        whole = Projection(half.fits, self.instrument.shape.d_head)
        every = [*(case for some in cases.values() for case in some), whole]
        reads = projected(self.instrument, inputs, self.rotations, every, progress)
        other = resampled(inputs, half.fit_on, self.options.seed)
        z = {
            head: torch.stack([own.z, half.fits[head].z, other[head], *reads[head].z[:-1]])
            for head, own in inputs.items()
        }
        outcome = patched(self.instrument, question_of(inputs), z, progress, rechecked)
        divergence = self._divergence(inputs, reads, progress)
        figures = {
            "loss": outcome.loss,
            "accuracy": outcome.right,
            "net_logit": net_effect(outcome.logits, question_of(inputs).right),
        }
        row = {
            f"{name}_{what}": values[place]
            for name, values in figures.items()
            for place, what in enumerate(("model", "ablated", "resampled"))
        }
        row |= {
            "loss_model": torch.tensor(question_of(inputs).loss),
            "label_logits_model": outcome.logits[0],
            "label_logits": outcome.logits[3 : 3 + len(self.ranks)],
            "right": torch.tensor(question_of(inputs).right),
            "full_rank": torch.tensor(
                [largest_share(reads[head].z[-1], own.z) for head, own in inputs.items()]
            ).max(),
            "oracle": torch.tensor(outcome.oracle_error),
        }
        for number, suffix in enumerate(cases):
            own = slice(number * len(self.ranks), (number + 1) * len(self.ranks))
            row |= {f"{name}{suffix}": values[3:][own] for name, values in figures.items()}
            row[f"kl{suffix}"] = divergence[own]
        return row

    def _cases(self, half: Half) -> dict[str, list[Projection]]:
        """At each rank: queries and keys, one of queries, keys and values alone, and random subspaces."""
        cases = {part: [Projection(half.fits, rank, part) for rank in self.ranks] for part in PARTS}
        for draw in range(DRAWS):
            drawn = {head: fit.at_random(self.options.seed + draw) for head, fit in half.fits.items()}
            cases[f"_random{draw}"] = [Projection(drawn, rank) for rank in self.ranks]
        return cases

    def _divergence(
        self, inputs: ByHead, reads: Mapping[HeadRef, Read], progress: Progress
    ) -> Float[Tensor, " case"]:
        """KL of the heads' final rows of attention, clean against projected, in nats; the mean over heads."""
        trace = self.instrument.trace(question_of(inputs).prompt.token_ids, progress)
        found = []
        for head, own in inputs.items():
            rotations = self.rotations[head.layer]
            clean = read_with(trace, own, head, rotations, own.q[None], own.k[None], own.v[None]).attention
            found.append(_kl(clean, reads[head].attention))
        return torch.stack(found).mean(0)


def _kl(clean: Float[Tensor, "#case key"], other: Float[Tensor, "case key"]) -> Float[Tensor, " case"]:
    """A key that is not looked at counts nothing."""
    least = torch.finfo(clean.dtype).tiny
    return (clean * (clean.clamp_min(least).log() - other.clamp_min(least).log())).sum(-1)


def _stacked(rows: list[dict[str, Tensor]]) -> Table:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def usual_ranks(d_head: int) -> list[int]:
    """Those run where none are asked for; the last is the whole head."""
    return [rank for rank in RANKS if rank < d_head] + [d_head]


def _ranks(asked: list[int] | None, d_head: int) -> tuple[int, ...]:
    """Raises RequestError for a rank that a head does not have."""
    ranks = usual_ranks(d_head) if asked is None else asked
    if ranks[-1] > d_head:
        raise RequestError(f"A rank is 0 to {d_head}, a head's dimensions, not {shown(ranks[-1])}.")
    return tuple(ranks)
