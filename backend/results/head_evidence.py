"""The figures of one head beside the thresholds that its classes are told with, test by test."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, nan

import numpy as np

from backend.results.head_classes import CLASSES, Figures, Half, Thresholds

CORRECT, SINGLE, CONSTANT, AMPLIFICATION, GATHERER, _, FIXED = CLASSES
Row = tuple[str, str, float, str, float, int | None]


@dataclass(frozen=True)
class Comparison:
    """One test of one class: a figure of both halves, and what it is held against.

    Attributes:
        sign: how it is compared: ≥, > or ≤.
        letter: the index of the letter that it is about; None where it is about none.
    """

    name: str
    figure: str
    first: float
    second: float
    sign: str
    threshold: float
    letter: int | None = None

    @property
    def holds(self) -> bool:
        """Whether it holds in both halves; NaN never does.

        >>> Comparison("constant", "mass", 0.4, 0.2, "≥", 0.3).holds
        False
        """
        return all(self._compared(value) for value in (self.first, self.second))

    def _compared(self, value: float) -> bool:
        if self.sign == "≤":
            return value <= self.threshold
        return value >= self.threshold if self.sign == "≥" else value > self.threshold


def evidence(
    first: Figures, second: Figures, options: float, at: Thresholds, place: tuple[int, int]
) -> list[Comparison]:
    """The tests of every class but mediator, which has two of a content gatherer's. `place` is layer and head.

    Classes about one letter are tested for the one with the largest gap, and the one that is looked at or written for
    most where it is wrong, both by the first half.
    """
    one, other = (_One(figures, options, at, place) for figures in (first, second))
    letters = one.largest_gap, one.most_looked_at, one.most_written
    pairs = zip(_tests(one, at, *letters), _tests(other, at, *letters), strict=True)
    return [
        Comparison(name, figure, value, theirs[2], sign, threshold, letter)
        for (name, figure, value, sign, threshold, letter), theirs in pairs
    ]


class _One:
    """One head's figures in one half."""

    def __init__(self, figures: Figures, options: float, at: Thresholds, place: tuple[int, int]) -> None:
        self._figures, self.options, self._place = figures, options, place
        half = Half(figures, options, at)
        self.written, self.single = half.fixed_sizes()[:, *place], half.single()[:, *place]
        self.with_gap = int(half.gaps()[:, *place].sum())

    def value(self, name: str, end: str = "value") -> float:
        """A figure, or the `low` end of its interval."""
        return float(getattr(self._figures[name], end)[self._place])

    def letters(self, name: str) -> np.ndarray:
        """A figure of each letter."""
        return np.asarray(self._figures[name].value[:, *self._place], float)

    @property
    def gaps(self) -> np.ndarray:
        return np.asarray(self.letters("right_label_share") - self.letters("wrong_label_share"), float)

    @property
    def largest_gap(self) -> int:
        """The letter of a single letter head, else the one with the largest gap."""
        return int((np.nan_to_num(self.gaps, nan=-1) + 2 * self.single).argmax())

    @property
    def most_looked_at(self) -> int:
        return int(np.nan_to_num(self.letters("wrong_label_share"), nan=-1).argmax())

    @property
    def most_written(self) -> int:
        return int(self.written.argmax())

    def least(self, values: np.ndarray) -> float:
        """The smallest of the letters that can be tested."""
        tested = ~np.isnan(self.gaps)
        return float(values[tested].min()) if tested.any() else nan


def _tests(one: _One, at: Thresholds, gap: int, looked: int, written: int) -> Iterator[Row]:
    yield from _of_labels(one, at, gap)
    yield from _of_others(one, at)
    away, mass = float(one.letters("wrong_label_share")[looked]), one.value("label_mass")
    looks, writes = f"{FIXED}, looks", f"{FIXED}, writes"
    yield looks, "share on the letter where it is wrong", away, "≥", at.fixed, looked
    yield looks, "attention to labels", mass, "≥", at.mass, looked
    yield writes, "net effect, right or not", float(one.written[written]), "≥", at.fixed_net, written


def _of_labels(one: _One, at: Thresholds, gap: int) -> Iterator[Row]:
    tops, mass = one.letters("right_label_top"), one.value("label_mass")
    distance, of_gap = abs(one.value("right_share") - 1 / one.options), float(one.letters("letter_mass")[gap])
    yield CORRECT, "attention to labels", mass, "≥", at.mass, None
    yield CORRECT, "smallest gap of a letter", one.least(one.gaps), "≥", at.gap, None
    yield (
        CORRECT,
        "smallest share of questions where the right label gets most",
        one.least(tops),
        ">",
        at.top,
        None,
    )
    yield CORRECT, "net effect, lower end", one.value("net", "low"), ">", 0.0, None
    yield SINGLE, "gap of the letter", float(one.gaps[gap]), "≥", at.gap, gap
    yield SINGLE, "how many letters have such a gap", one.with_gap, "≤", 1, None
    yield SINGLE, "share of its questions where it gets most", float(tops[gap]), ">", at.top, gap
    yield SINGLE, "attention to labels where it is right", of_gap, "≥", at.mass, gap
    yield CONSTANT, "attention to labels", mass, "≥", at.mass, None
    yield CONSTANT, "entropy of the shares", one.value("label_entropy"), "≥", at.entropy, None
    yield CONSTANT, "distance of the right share from 1/n", distance, "≤", at.even, None


def _of_others(one: _One, at: Thresholds) -> Iterator[Row]:
    total, direct, content = one.value("total"), abs(one.value("direct")), one.value("content", "low")
    ratio = abs(total) / direct if direct else inf
    yield AMPLIFICATION, "attention to suffix and final token", one.value("last_mass"), "≥", at.last, None
    yield AMPLIFICATION, "written for the leading letter", one.value("leader"), "≥", at.leader, None
    yield AMPLIFICATION, "the same, lower end", one.value("leader", "low"), ">", 0.0, None
    yield (
        GATHERER,
        "attention to the right option's text over a wrong one's, lower end",
        content,
        ">",
        0.0,
        None,
    )
    yield GATHERER, "total effect", total, "≥", at.total, None
    yield GATHERER, "size of the total effect, in direct effects", ratio, "≥", at.ratio, None
