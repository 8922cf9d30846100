"""The subspaces in which one head compares: its final queries and label keys over many questions, in few dimensions.

Lieberum et al. 2023, section 4, compress the queries, keys and values of correct letter heads to 3 dimensions nearly
without loss on the answer labels. How we fit is ours: means are taken off queries and keys apart, and the principal
components are of each alone or, `stacked`, of both together. The separability test is ours too.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.findings import array
from backend.analyses.intervals import share_interval
from backend.analyses.subspace.head_inputs import Options, collect, require_questions
from backend.analyses.subspace.low_rank import (
    Subspace,
    components,
    fitted,
    separated,
    shuffled,
    variance_along,
)
from backend.analyses.subspace.question_records import count_wrong, question_records
from backend.analyses.subspace.schema import SUBSPACE
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import FLOAT32, largest_share, worst
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument

PICTURED = 3
SHUFFLES = 5


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Queries, keys and values of one head with their subspaces.

    Arrays: `q[question,d_head]`, `k` and `v[question,label,d_head]`, before the rotary embedding unless `rotated`;
    `q_variance[component]`, `k_variance[component]`: the share of variance along each component;
    `basis` and `k_basis[component,d_head]`: the components of queries and of keys, the same where `stacked`;
    `points_q[question,component]`, `points_k[question,label,component]`: the first three coordinates;
    `right[question]`: the right label's index.
    """
    values = SUBSPACE.values(task.request)
    options = Options.of(instrument, values)
    kept, left_out = collect(instrument, task, options, progress)
    require_questions(kept, left_out, max(options.rank, PICTURED) + 2, f"a subspace of rank {options.rank}")
    q, k = (torch.stack([getattr(one, name) for one in kept]) for name in ("q", "k"))
    v = torch.stack([one.v for one in kept])
    of_q, of_k = _subspaces(q, k, values["stacked"], str(options.head))
    rank = min(PICTURED, instrument.shape.d_head)
    per_key = ("question", "label", "d_head")
    arrays = {
        "q": array(q, ("question", "d_head"), "activation"),
        "k": array(k, per_key, "activation"),
        "v": array(v, per_key, "activation"),
        "q_variance": array(of_q.variance, ("component",), "share"),
        "k_variance": array(of_k.variance, ("component",), "share"),
        "basis": array(of_q.basis, ("component", "d_head"), "direction"),
        "k_basis": array(of_k.basis, ("component", "d_head"), "direction"),
        "points_q": array(of_q.coordinates(q, rank), ("question", "component"), "activation"),
        "points_k": array(of_k.coordinates(k, rank), ("question", "label", "component"), "activation"),
        "right": array(torch.tensor([one.right for one in kept]), ("question",), "label"),
    }
    return Findings(
        arrays=arrays,
        scalars={
            "head": str(options.head),
            "rank": options.rank,
            "labels": list(kept[0].prompt.labels),
            "questions": question_records(task, kept),
            "kept": len(kept),
            "wrong": count_wrong(kept),
            "left_out": left_out,
            "variance_q3": float(of_q.variance[:PICTURED].sum()),
            "variance_k3": float(of_k.variance[:PICTURED].sum()),
            **_separability(q, [one.right for one in kept], options, ""),
            **_separability(k.flatten(0, 1), list(range(k.shape[1])) * len(kept), options, "_keys"),
        },
        checks={"full_rank_error": (worst((_error(of_q, q), _error(of_k, k))), FLOAT32.activations)},
    )


def _subspaces(
    q: Float[Tensor, "question d_head"], k: Float[Tensor, "question label d_head"], stacked: bool, head: str
) -> tuple[Subspace, Subspace]:
    """Those of the queries and of the keys; stacked, both have one basis, to which both give the same variance."""
    keys = k.flatten(0, 1)
    of_q, of_k = fitted(q, f"queries of {head}"), fitted(keys, f"keys of {head}")
    if not stacked:
        return of_q, of_k
    both = [(part - part.mean(0)).double() for part in (q, keys)]
    basis, _ = components(sum(part.T @ part / part.square().sum() for part in both))  # type: ignore[arg-type]
    return (
        Subspace(of_q.mean, basis, variance_along(q, basis)),
        Subspace(of_k.mean, basis, variance_along(keys, basis)),
    )


def _error(subspace: Subspace, vectors: Float[Tensor, "*sample d_head"]) -> float:
    """How much a projection onto all components changes, as a share of the largest entry: nothing."""
    again = subspace.projected(vectors, len(subspace.mean))
    return largest_share(again, vectors)


def _separability(
    vectors: Float[Tensor, "sample d_head"], classes: list[int], options: Options, suffix: str
) -> dict[str, Any]:
    """How well classes are told apart, with interval, and the same of classes dealt at random; None for one class."""
    if len(set(classes)) < 2:
        return {f"separability{suffix}": None, f"separability{suffix}_shuffled": None}
    count, what = len(classes), f"vectors of {options.head}"

    def hits(of: list[int]) -> int:
        return separated(vectors, of, options.rank, options.seed, what)

    share, low, high = share_interval(hits(classes), count)
    control = sum(hits(shuffled(classes, options.seed + draw)) for draw in range(SHUFFLES)) / (
        SHUFFLES * count
    )
    return {
        f"separability{suffix}": share,
        f"separability{suffix}_low": low,
        f"separability{suffix}_high": high,
        f"separability{suffix}_shuffled": control,
    }
