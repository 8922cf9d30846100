"""The differences between two results of `readings`: of one model in two dtypes, as a rule, or of two of one shape.

A pure function of two results over the same prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.result import Result

Values = NDArray[np.float32]
Size = Literal["small", "noticeable", "large"]
STRONGEST, TOP = 20, 10
# Ours: below either of these shares the drift is large.
SAME_ANSWERS, SAME_HEADS = 0.9, 0.7


@dataclass(frozen=True)
class Ranked:
    """One head's rank, from 1, by the size of its mean net attribution, in both models; values in logits."""

    head: HeadRef
    rank: int
    other_rank: int
    value: float
    other_value: float


@dataclass(frozen=True)
class Drift:
    """The second model against the first.

    Attributes:
        questions: how many both have answered.
        logits_largest, logits_mean: |difference| over all label logits, in logits.
        same_answers: share of the questions with the same predicted label.
        accuracy, loss: of both, `{"value", "low", "high"}` with a 95 % interval; nats for the loss.
        net: mean net attribution of both, `[layer, head]`, in logits.
        net_correlation, net_largest: Pearson's over heads; largest |difference|, in logits.
        strongest: the first model's 20 strongest heads, with their ranks in both.
        rank_correlation: Spearman's over these; NaN where nothing varies.
        left, entered: heads that leave the ten strongest, and those that come in.
        patched: patching values of both, for each cell that both have, in logits, minus the median of their
            question. Most heads change nothing, so the level of each question would count as agreement, or hide it.
        patched_heads: the heads of these cells.
        patched_correlation, patched_largest: as for `net`; None where nothing was patched in both.
        size, verdict: how large the drift is, and a sentence about it.
    """

    questions: int
    logits_largest: float
    logits_mean: float
    same_answers: float
    accuracy: tuple[Mapping[str, Any], Mapping[str, Any]]
    loss: tuple[Mapping[str, Any], Mapping[str, Any]]
    net: tuple[Values, Values]
    net_correlation: float
    net_largest: float
    strongest: tuple[Ranked, ...]
    rank_correlation: float
    left: tuple[HeadRef, ...]
    entered: tuple[HeadRef, ...]
    patched: tuple[Values, Values]
    patched_heads: tuple[HeadRef, ...]
    patched_correlation: float | None
    patched_largest: float | None
    size: Size
    verdict: str


def drift(one: Result, other: Result) -> Drift:
    """Compare two results of `readings`. Raises RequestError where their prompts, labels or shapes differ."""
    _check(one, other)
    logits = np.abs(one["label_logits"] - other["label_logits"])
    same = float(np.mean(one["predicted"] == other["predicted"]))
    nets = (one["net"].mean(axis=0), other["net"].mean(axis=0))
    strongest = _strongest(*nets)
    left, entered = _changes(*nets)
    count = min(TOP, nets[0].size)
    patched, heads = _patched(one["patched"], other["patched"])
    size, verdict = _verdict(same, len(one["predicted"]), count - len(left), count)
    return Drift(
        questions=len(one["predicted"]),
        logits_largest=float(np.nanmax(logits)),
        logits_mean=float(np.nanmean(logits)),
        same_answers=same,
        accuracy=(one.scalars["accuracy"], other.scalars["accuracy"]),
        loss=(one.scalars["loss"], other.scalars["loss"]),
        net=nets,
        net_correlation=_correlation(*nets),
        net_largest=float(np.abs(nets[0] - nets[1]).max()),
        strongest=strongest,
        rank_correlation=_rank_correlation(strongest),
        left=left,
        entered=entered,
        patched=patched,
        patched_heads=heads,
        patched_correlation=_correlation(*patched) if heads else None,
        patched_largest=float(np.abs(patched[0] - patched[1]).max()) if heads else None,
        size=size,
        verdict=verdict,
    )


def _check(one: Result, other: Result) -> None:
    for result in (one, other):
        if result.request["analysis"] != "readings":
            raise RequestError(
                f"Drift compares two results of readings; this is one of {shown(result.request['analysis'])}."
            )
    check_shapes(one["net"].shape[1:], other["net"].shape[1:])
    if one.scalars["prompts"] != other.scalars["prompts"] or one.ticks["label"] != other.ticks["label"]:
        raise RequestError(
            f"The models were run on different prompts ({one.scalars['count']} and {other.scalars['count']}). Compare "
            "them on the same questions, labels, template and shots."
        )


def check_shapes(one: Sequence[int], other: Sequence[int]) -> None:
    """Raise RequestError where two models differ in `(layers, heads)`."""
    if tuple(one) != tuple(other):
        sizes = [f"{layers} layers of {heads} heads" for layers, heads in (one, other)]
        raise RequestError(
            f"The models have different shapes, {sizes[0]} and {sizes[1]}, so their heads cannot be "
            "compared one by one. Compare two models of one shape."
        )


def _order(net: Values) -> list[int]:
    """The flattened indices of the heads, the one furthest from zero first."""
    order: list[int] = np.argsort(-np.abs(net), axis=None, kind="stable").tolist()
    return order


def _head(net: Values, index: int) -> HeadRef:
    return HeadRef(*divmod(index, net.shape[1]))


def _strongest(net: Values, other: Values) -> tuple[Ranked, ...]:
    ranks = np.argsort(_order(other))
    return tuple(
        Ranked(
            _head(net, index), rank, int(ranks[index]) + 1, float(net.flat[index]), float(other.flat[index])
        )
        for rank, index in enumerate(_order(net)[:STRONGEST], start=1)
    )


def _changes(net: Values, other: Values) -> tuple[tuple[HeadRef, ...], tuple[HeadRef, ...]]:
    """Heads that are among the ten strongest of the first alone, and of the second alone."""
    before, after = (_order(each)[:TOP] for each in (net, other))
    left = tuple(_head(net, index) for index in before if index not in after)
    return left, tuple(_head(net, index) for index in after if index not in before)


def _patched(one: Values, other: Values) -> tuple[tuple[Values, Values], tuple[HeadRef, ...]]:
    if one.shape != other.shape:
        raise RequestError(
            f"{len(one)} questions were patched in one model and {len(other)} in the other. "
            "Compare them with the same params.patched."
        )
    both = np.isfinite(one) & np.isfinite(other)
    cells = np.argwhere(both)
    heads = tuple(HeadRef(int(layer), int(head)) for _, layer, head in cells)
    levelled = [
        series - series.groupby(cells[:, 0]).transform("median")
        for series in (pd.Series(values[both]) for values in (one, other))
    ]
    return (levelled[0].to_numpy(np.float32), levelled[1].to_numpy(np.float32)), heads


def _correlation(one: Values, other: Values) -> float:
    """Pearson's; NaN where one of them does not vary."""
    return float(pd.Series(one.ravel()).corr(pd.Series(other.ravel())))


def _rank_correlation(strongest: tuple[Ranked, ...]) -> float:
    return float(
        pd.Series([each.rank for each in strongest]).corr(
            pd.Series([each.other_rank for each in strongest]).rank()
        )
    )


def _verdict(same: float, questions: int, stayed: int, top: int) -> tuple[Size, str]:
    seen = f"{same:.0%} of {questions} answers are the same and {stayed} of the {top} strongest heads"
    if same < SAME_ANSWERS or stayed / top < SAME_HEADS:
        return (
            "large",
            f"Large drift: {seen}. What holds for a head of the second need not hold in the first.",
        )
    if same < 1 or stayed < top:
        return "noticeable", f"Noticeable drift: {seen}. Check a head in the first before you rely on it."
    return (
        "small",
        f"Small drift: every one of {questions} answers is the same, and so are the {top} strongest heads.",
    )
