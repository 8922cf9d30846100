"""How few dimensions of a head's queries and keys do: projected, run, and read off.

q' = mu + P P^T (q - mu), likewise for keys (Lieberum et al. 2023, section 5). From them the head's output at the final
position is computed, with the layer's own rotation and values, and patched into the run: all above is the model's. Each
half of the questions is run with the subspaces fitted on the other. Beside it stand random subspaces of the same rank,
the mean alone (rank 0), the unchanged model, and the head ablated: its output at its mean, or another question's. Keys
are exchanged for this head's final row only.
"""

import random
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.analysis import Analysis, Findings, Task, array
from backend.analyses.head_inputs import HeadInputs, Options, Read, collected, enough, read_with
from backend.analyses.intervals import mean_interval, share_interval
from backend.analyses.low_rank import Subspace, fitted, halves, with_random_basis
from backend.analyses.over_questions import at_question
from backend.analyses.tolerance import tolerance
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations
from backend.engine.sweep import Cell, Node, OwnValues, Wanted, recheck, sweep_sets
from backend.engine.trace import Trace
from backend.errors import RequestError, shown
from backend.progress import Progress

RANKS = (0, 1, 2, 3, 4, 6, 8, 16, 32)
PARTS = ("", "_q", "_k", "_v")
DRAWS = 3
RECHECKED = 3


@dataclass(frozen=True)
class Fit:
    """What was fitted on some questions: subspaces, and the head's mean output."""

    q: Subspace
    k: Subspace
    v: Subspace
    z: Float[Tensor, " d_head"]

    @classmethod
    def on(cls, some: list[HeadInputs], options: Options) -> "Fit":
        """Raises RequestError where all queries, keys or values are the same."""
        head = options.head
        return cls(
            q=fitted(torch.stack([one.q for one in some]), f"queries of {head}"),
            k=fitted(torch.cat([one.k for one in some]), f"keys of {head}"),
            v=fitted(torch.cat([one.v for one in some]), f"values of {head}"),
            z=torch.stack([one.z for one in some]).mean(0),
        )

    def at_random(self, seed: int) -> "Fit":
        """The same means, and random directions."""
        q, k, v = (
            with_random_basis(one, seed + 2**20 * part) for part, one in enumerate((self.q, self.k, self.v))
        )
        return Fit(q, k, v, self.z)


def projected(
    trace: Trace,
    inputs: HeadInputs,
    options: Options,
    rotations: Rotations,
    fit: Fit,
    ranks: tuple[int, ...],
    part: str,
) -> Read:
    """The head's final row at each rank, with queries and keys projected, or one of queries, keys and values alone."""
    q, k, v = inputs.q[None], inputs.k[None], inputs.v[None]
    if part in ("", "_q"):
        q = torch.stack([fit.q.projected(inputs.q, rank) for rank in ranks])
    if part in ("", "_k"):
        k = torch.stack([fit.k.projected(inputs.k, rank) for rank in ranks])
    if part == "_v":
        v = torch.stack([fit.v.projected(inputs.v, rank) for rank in ranks])
    return read_with(trace, inputs, options.head, rotations, q, k, v)


@dataclass(frozen=True)
class Outcome:
    """What the model answers with other outputs of the head in one question.

    Attributes:
        loss: of the right label, in nats.
        right: whether it has the highest logit of the labels.
        logits: of the labels.
    """

    loss: Float[Tensor, " case"]
    right: Float[Tensor, " case"]
    logits: Float[Tensor, "case label"]
    oracle_error: float


def patched(
    instrument: Instrument,
    inputs: HeadInputs,
    options: Options,
    z: Float[Tensor, "case d_head"],
    progress: Progress,
    rechecked: int = 0,
) -> Outcome:
    """The run with the head's final output exchanged, once for each case."""
    ids = inputs.prompt.token_ids
    node: Node = ("z", Cell(options.head.layer, len(ids) - 1, options.head.head))
    source = OwnValues({(number, node): value for number, value in enumerate(z)})
    sets, wanted = [[node]] * len(z), Wanted(inputs.prompt.answer_ids, vocabulary=True)
    swept = sweep_sets(instrument, ids, source, sets, wanted, progress=progress)
    assert swept.logsumexp is not None  # asked for
    error = recheck(instrument, ids, source, sets, wanted, swept, count=rechecked)
    return Outcome(
        loss=swept.logsumexp - swept.logits[:, inputs.right],
        right=(swept.logits.argmax(1) == inputs.right).float(),
        logits=swept.logits,
        oracle_error=error,
    )


def resampled(inputs: HeadInputs, others: list[HeadInputs], seed: int) -> Float[Tensor, " d_head"]:
    """The head's output in another question, with another right label where there is one."""
    apart = [one for one in others if one.right != inputs.right] or others
    return random.Random(f"{seed}:{inputs.number}").choice(apart).z


def fits(kept: list[HeadInputs], options: Options) -> list[tuple[list[HeadInputs], list[HeadInputs], Fit]]:
    """Both halves: the questions to run, those fitted on, and the fit."""
    inputs = [[kept[number] for number in half] for half in halves([one.right for one in kept], options.seed)]
    return [(run_on, fit_on, Fit.on(fit_on, options)) for run_on, fit_on in (inputs, inputs[::-1])]


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Loss and accuracy of one head's queries and keys projected onto few dimensions.

    Arrays over `rank`: `loss` with `loss_low` and `loss_high`, `accuracy` with the same, `kl` (of the head's final row
    of attention, clean against projected); `loss_q`, `loss_k`, `loss_v` of queries, keys and values alone;
    `loss_random[rank,draw]`, `kl_random[rank,draw]`. Single numbers: `loss_model`, `loss_ablated` (the head at its
    mean), `loss_resampled`.
    """
    options = replace(Options.of(instrument, task.request), rotated=False)
    ranks = _ranks(task.request.params, instrument.shape.d_head)
    rotations = Rotations(instrument, options.head.layer)
    kept, left_out = collected(instrument, task, options, progress)
    enough(kept, left_out, 4, "fitting on one half and running the other")
    rows: list[dict[str, Tensor]] = []
    for run_on, fit_on, fit in fits(kept, options):
        for inputs in run_on:
            within = at_question(progress, len(rows), len(kept))
            others = resampled(inputs, fit_on, options.seed)
            check = int(len(rows) < RECHECKED)
            rows.append(_row(instrument, inputs, options, rotations, fit, ranks, others, within, check))
    table = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    return Findings(
        arrays=_arrays(table, ranks),
        ticks={"rank": tuple(str(rank) for rank in ranks)},
        scalars={
            "head": str(options.head),
            "kept": len(kept),
            "left_out": left_out,
            "rank": options.rank,
            **_kept_shares(table, ranks, options.rank),
        },
        checks={
            "full_rank_error": (float(table["full_rank"].max()), tolerance(instrument).activations),
            "oracle_error": (float(table["oracle"].max()), tolerance(instrument).logits),
        },
    )


def _row(
    instrument: Instrument,
    inputs: HeadInputs,
    options: Options,
    rotations: Rotations,
    fit: Fit,
    ranks: tuple[int, ...],
    other: Float[Tensor, " d_head"],
    progress: Progress,
    rechecked: int,
) -> dict[str, Tensor]:
    """One question's figures by name, in one sweep."""
    trace = instrument.trace(inputs.prompt.token_ids, progress)
    reads = {part: projected(trace, inputs, options, rotations, fit, ranks, part) for part in PARTS}
    for draw in range(DRAWS):
        drawn = fit.at_random(options.seed + draw)
        reads[f"_random{draw}"] = projected(trace, inputs, options, rotations, drawn, ranks, "")
    z = torch.cat([inputs.z[None], fit.z[None], other[None], *(read.z for read in reads.values())])
    outcome = patched(instrument, inputs, options, z, progress, rechecked)
    whole = read_with(trace, inputs, options.head, rotations, inputs.q[None], inputs.k[None], inputs.v[None])
    full = projected(trace, inputs, options, rotations, fit, (instrument.shape.d_head,), "")
    row = {
        "loss_model": torch.tensor(inputs.loss),
        "loss_ablated": outcome.loss[1],
        "loss_resampled": outcome.loss[2],
        "accuracy_model": outcome.right[0],
        "full_rank": (full.z[0] - inputs.z).abs().max() / inputs.z.abs().max(),
        "oracle": torch.tensor(outcome.oracle_error),
    }
    for number, (name, read) in enumerate(reads.items()):
        cases = slice(3 + number * len(ranks), 3 + (number + 1) * len(ranks))
        row |= {
            f"loss{name}": outcome.loss[cases],
            f"accuracy{name}": outcome.right[cases],
            f"kl{name}": _divergence(whole.attention, read.attention),
        }
    return row


def _divergence(
    clean: Float[Tensor, "#case key"], other: Float[Tensor, "case key"]
) -> Float[Tensor, " case"]:
    """KL of attention rows in nats; a key that is not looked at counts nothing."""
    least = torch.finfo(clean.dtype).tiny
    return (clean * (clean.clamp_min(least).log() - other.clamp_min(least).log())).sum(-1)


def _arrays(table: dict[str, Tensor], ranks: tuple[int, ...]) -> dict[str, Any]:
    loss, low, high = mean_interval(table["loss"].numpy())
    count = len(table["loss"])
    shares = torch.tensor(
        [share_interval(int(hits), count) for hits in table["accuracy"].sum(0)], dtype=torch.float32
    )
    arrays = {
        "rank": array(torch.tensor(ranks), ("rank",), "dimensions"),
        "loss": array(loss, ("rank",), "nats"),
        "loss_low": array(low, ("rank",), "nats"),
        "loss_high": array(high, ("rank",), "nats"),
        "accuracy": array(shares[:, 0], ("rank",), "share"),
        "accuracy_low": array(shares[:, 1], ("rank",), "share"),
        "accuracy_high": array(shares[:, 2], ("rank",), "share"),
        "kl": array(table["kl"].mean(0), ("rank",), "nats"),
    }
    for part in PARTS[1:]:
        arrays[f"loss{part}"] = array(table[f"loss{part}"].mean(0), ("rank",), "nats")
    for name in ("loss", "kl"):
        draws = torch.stack([table[f"{name}_random{draw}"].mean(0) for draw in range(DRAWS)], 1)
        arrays[f"{name}_random"] = array(draws, ("rank", "draw"), "nats")
    for name in ("loss_model", "loss_ablated", "loss_resampled"):
        arrays[name] = array(table[name].mean(0), (), "nats")
    arrays["accuracy_model"] = array(table["accuracy_model"].mean(0), (), "share")
    return arrays


def _kept_shares(table: dict[str, Tensor], ranks: tuple[int, ...], rank: int) -> dict[str, float | None]:
    """How much of what the head does for the loss is kept at `rank`: (ablated - projected) / (ablated - model).

    None where ablating the head does not raise the loss: it then has no contribution to keep.
    """
    if rank not in ranks:
        return {}
    mean = {name: values.mean(0) for name, values in table.items()}
    at = ranks.index(rank)
    random_loss = torch.stack([mean[f"loss_random{draw}"][at] for draw in range(DRAWS)]).mean()

    def share(ablated: Tensor, loss: Tensor) -> float | None:
        contribution = float(ablated - mean["loss_model"])
        return float(ablated - loss) / contribution if contribution > 0 else None

    return {
        "kept_share": share(mean["loss_ablated"], mean["loss"][at]),
        "kept_share_resampled": share(mean["loss_resampled"], mean["loss"][at]),
        "kept_share_random": share(mean["loss_ablated"], random_loss),
        "kept_share_random_resampled": share(mean["loss_resampled"], random_loss),
    }


def _ranks(params: dict[str, Any], d_head: int) -> tuple[int, ...]:
    given = params.get("ranks", [rank for rank in RANKS if rank < d_head] + [d_head])
    if not isinstance(given, list) or not given or not all(type(rank) is int for rank in given):
        raise RequestError(f"params.ranks must be a list of whole numbers, not {shown(given)}.")
    for rank in given:
        if not 0 <= rank <= d_head:
            raise RequestError(f"A rank is 0 to {d_head}, a head's dimensions, not {shown(rank)}.")
    return tuple(sorted({*given}))


COMPRESSION = Analysis(
    name="compression",
    version=1,
    summary="loss and accuracy with one head's queries and keys projected onto few dimensions, tested by running it",
    takes=("questions",),
    run=run,
    params=("head", "rank", "at", "keep", "seed", "ranks"),
)
