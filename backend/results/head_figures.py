"""What each head does over a bank of questions: figures of every question, and their means with intervals.

Numpy only: the model is not needed once the readings are made. Labels, letters and places are the same here: the first
option's label is letter 0.

Example: with the labels A and B, a head gives 0.6 of its attention to A's label and 0.2 to B's. Its label mass is 0.8,
its share on A 0.75. If A is right, its right share is 0.75 too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.results.bootstrap import DRAWS, letters_alike, mean_and_ends

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

KINDS = (
    "prelude",
    "shot",
    "stem",
    "right label",
    "wrong label",
    "bracket",
    "right option",
    "wrong option",
    "right option end",
    "wrong option end",
    "right newline",
    "wrong newline",
    "suffix",
    "final",
)
"""A kind for each token of a prompt; the attention to all kinds sums to 1."""
CONTENT = ("option", "option end", "newline")
LAST = ("suffix", "final")
SAMPLES = ("all", "first half", "second half", "right", "right, first half", "right, second half")
"""All questions, those answered right, and the two halves of each."""


@dataclass(frozen=True)
class Readings:
    """What was read of each question. Label axes are as long as most options; NaN beyond a question's own.

    Attributes:
        right, predicted: the right label, and the one with the highest logit.
        half: 0 or 1, the half of the bank that the question is in.
        attention: from the final token, by kind.
        weighted: the same by attention times the length of what is read, as shares.
        labels: attention from the final token to each label.
        written: what the head wrote for each label, in centred logits.
        lens: the labels' logits read before each layer.
        scores: query of the final token times each label's key, without the rotation.
        entropy: of the attention from the final token, in nats.
        total, direct, indirect: effects in logits; NaN for a question that cannot be corrupted.
    """

    right: NDArray[np.int64]
    predicted: NDArray[np.int64]
    half: NDArray[np.int64]
    attention: Floats
    weighted: Floats
    labels: Floats
    written: Floats
    lens: Floats
    scores: Floats
    entropy: Floats
    total: Floats
    direct: Floats
    indirect: Floats

    def sample(self, name: str) -> Bools:
        """Which questions are of one of the `SAMPLES`."""
        chosen = self.predicted == self.right if name.startswith("right") else np.ones(len(self.right), bool)
        for number, half in enumerate(("first half", "second half")):
            if name.endswith(half):
                chosen = chosen & (self.half == number)
        return np.asarray(chosen, bool)


def halves(rights: Sequence[int], stems: Sequence[str]) -> list[int]:
    """For each question the half that it is in: questions of one stem in the same, right letters as equal as may be.

    >>> halves([0, 0, 1, 1], ["a", "b", "a", "b"])
    [0, 1, 0, 1]
    """
    taken: dict[str, int] = {}
    counts = np.zeros((2, 1 + max(rights, default=0)), int)
    found = []
    for right, stem in zip(rights, stems, strict=True):
        if stem not in taken:
            taken[stem] = min((0, 1), key=lambda half: (counts[half, right], counts[half].sum(), half))
        counts[taken[stem], right] += 1
        found.append(taken[stem])
    return found


def net(values: Floats) -> Floats:
    """For each label `values[question, label, ...]` minus the mean of the question's other labels."""
    there = ~np.isnan(values)
    count = there.sum(axis=1, keepdims=True)
    rest = np.nansum(values, axis=1, keepdims=True) - values
    return np.asarray(values - rest / (count - 1), np.float32)


def of_questions(readings: Readings) -> dict[str, Floats]:
    """Every figure of every question, `[question, (letter or kind), layer, head]`; NaN where it does not count."""
    right, labels = readings.right, readings.labels
    rows = np.arange(len(right))
    shares = labels / np.maximum(np.nansum(labels, axis=1, keepdims=True), 1e-12)
    own_net = net(readings.written)
    options = (~np.isnan(labels[:, :, 0, 0])).sum(axis=1)[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = np.where(shares > 0, -shares * np.log(shares), np.where(np.isnan(shares), np.nan, 0.0))
    mass = np.nansum(labels, axis=1)
    most = _largest(labels) == right[:, None, None]
    letters = np.arange(labels.shape[1])
    is_right = (right[:, None] == letters)[:, :, None, None]

    def where(condition: Bools, values: Floats) -> Floats:
        return np.where(condition, values, np.float32(np.nan)).astype(np.float32)

    return {
        "label_mass": mass,
        "right_share": shares[rows, right],
        "label_entropy": np.nansum(surprise, axis=1) / np.log(options),
        "letter_mass": where(is_right, np.broadcast_to(mass[:, None], labels.shape)),
        "right_label_share": where(is_right, shares),
        "wrong_label_share": where(~is_right, shares),
        "right_label_top": where(is_right, np.broadcast_to(most[:, None], labels.shape)),
        "last_mass": _of_kinds(readings.attention, LAST).sum(axis=1),
        "content": _content(readings.attention, options),
        "net": own_net[rows, right],
        "net_right": where(is_right, own_net),
        "net_wrong": where(~is_right, own_net),
        "leader": _for_leader(readings, own_net),
        "qk_top_right": (_largest(readings.scores) == right[:, None, None]).astype(np.float32),
        "entropy": readings.entropy,
        "total": readings.total,
        "direct": readings.direct,
        "indirect": readings.indirect,
        "roles": readings.attention,
        "roles_weighted": readings.weighted,
    }


def _largest(values: Floats) -> NDArray[np.intp]:
    """The label with the largest value of each question; NaN is never the largest."""
    return np.asarray(np.where(np.isnan(values), -np.inf, values).argmax(axis=1), np.intp)


def _of_kinds(attention: Floats, kinds: Sequence[str]) -> Floats:
    return attention[:, [KINDS.index(kind) for kind in kinds]]


def _content(attention: Floats, options: NDArray[np.int64]) -> Floats:
    """Attention to the right option and its newline, minus the mean of that to the other options and theirs."""
    right, wrong = (
        _of_kinds(attention, [f"{side} {kind}" for kind in CONTENT]).sum(axis=1)
        for side in ("right", "wrong")
    )
    return np.asarray(right - wrong / (options - 1), np.float32)


def _for_leader(readings: Readings, own_net: Floats) -> Floats:
    """What a head writes for the letter that leads before its layer, both centred over the questions.

    Without centring the same letter leads on all questions up to the middle layers.
    """
    weights = letters_alike(readings.right.tolist())

    def centred(values: Floats) -> Floats:
        known = ~np.isnan(values)
        tall = weights.reshape(-1, *[1] * (values.ndim - 1)) * known
        means = np.nansum(values * tall, axis=0) / np.maximum(tall.sum(axis=0), 1e-12)
        return np.asarray(values - means, np.float32)

    leading = _largest(centred(net(readings.lens)))
    written = centred(own_net)
    return np.take_along_axis(written, leading[:, None, :, None], axis=1)[:, 0]


@dataclass(frozen=True)
class Mean:
    """A mean over questions, and the ends of its 95 % interval."""

    value: Floats
    low: Floats
    high: Floats


def means(
    figures: dict[str, Floats], right: NDArray[np.int64], chosen: Bools, draws: int = DRAWS
) -> dict[str, Mean]:
    """Of each figure the mean over the chosen questions, where each right letter weighs the same.

    Questions for which a figure is NaN do not count in it. A figure of no question at all is NaN.
    """
    return {name: _mean(values[chosen], right[chosen], draws) for name, values in figures.items()}


def _mean(values: Floats, right: NDArray[np.int64], draws: int) -> Mean:
    if values.ndim == 4:
        parts = [_mean(values[:, place], right, draws) for place in range(values.shape[1])]
        return Mean(*(np.stack([getattr(part, end) for part in parts]) for end in ("value", "low", "high")))
    valid = ~np.isnan(values).any(axis=(1, 2))
    return Mean(*mean_and_ends(values[valid], letters_alike(right[valid].tolist()), draws))
