"""Which class a head belongs to, from its mean figures alone.

The names of the classes are those of Lieberum et al. 2023, but mediator and fixed letter, which are ours. All tests and
thresholds are ours. A class counts only where its test holds in both halves of the questions.

Example: a head gives 0.9 of its attention to labels. Its share on A is 0.8 where A is right and 0.1 elsewhere, and so
for the other letters. It writes for the right letter. In both halves it is so: it is a correct letter head.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.results.head_figures import Mean

Bools = NDArray[np.bool_]
Figures = Mapping[str, Mean]

CLASSES = {
    "correct letter": "looks at the right option's label and writes that letter",
    "single letter": "looks at one letter's label where that letter is right",
    "constant": "spreads its attention over all labels",
    "amplification": "reads the last tokens and writes for the letter that leads there",
    "content gatherer": "looks at the right option's text and acts through later nodes",
    "mediator": "acts through later nodes, without a class of its own",
    "fixed letter": "looks at, or writes for or against, one letter whatever is right",
}
MARKS = ("C", "S", "K", "A", "G", "M", "F")
"""A letter for each class, in their order."""


@dataclass(frozen=True)
class Thresholds:
    """What the tests compare with.

    Attributes:
        mass: least attention to all labels.
        gap: least difference between the share on a letter where it is right and where it is not.
        top: of the questions with a right letter, the share in which no label gets more: more than this.
        entropy: least entropy of the shares on the labels, as a share of its largest value.
        even: largest distance of the mean right share from 1/n.
        last: least attention to the suffix and the final token.
        leader: least mean write for the leading letter, in logits.
        total: least total effect, in logits.
        ratio: the total effect is at least so many times the direct effect.
        fixed: least share on a letter where it is not right.
        fixed_net: least size of the net effect on one letter, whatever is right, in logits.
        negative: least size of a net effect against the right letter, in logits.
    """

    mass: float = 0.3
    gap: float = 0.3
    top: float = 0.5
    entropy: float = 0.9
    even: float = 0.1
    last: float = 0.5
    leader: float = 0.01
    total: float = 0.05
    ratio: float = 3.0
    fixed: float = 0.6
    fixed_net: float = 0.1
    negative: float = 0.05


@dataclass(frozen=True)
class Verdicts:
    """What every head is.

    Attributes:
        classes: in the order of `CLASSES`; several may hold for one head.
        single, fixed: the letter of a head of that class.
        negative: writes against the right letter.
    """

    classes: Bools
    single: Bools
    fixed: Bools
    negative: Bools

    def named(self, layer: int, head: int) -> list[str]:
        """The classes of one head, none or several."""
        return [name for index, name in enumerate(CLASSES) if self.classes[index, layer, head]]

    @property
    def main(self) -> NDArray[np.int64]:
        """The first class of each head, `[layer, head]`; -1 for none."""
        return np.where(self.classes.any(axis=0), self.classes.argmax(axis=0), -1)


def classify(first: Figures, second: Figures, options: float, thresholds: Thresholds) -> Verdicts:
    """The classes of all heads from the mean figures of two halves; `options` is the mean number of options."""
    halves = [Half(figures, options, thresholds) for figures in (first, second)]

    def both(name: str) -> Bools:
        one, other = (getattr(half, name)() for half in halves)
        return np.asarray(one & other, bool)

    single, fixed, own = both("single"), both("fixed"), both("correct")
    acts, content = both("acts_through_others"), both("content")
    named = [own, single.any(axis=0), both("constant"), both("amplification"), acts & content]
    others = np.any([*named, fixed.any(axis=0)], axis=0)
    mediator = both("acts_by_size") & ~content & ~others
    return Verdicts(
        np.stack([*named, mediator, fixed.any(axis=0)]).astype(bool), single, fixed, both("negative")
    )


class Half:
    """The tests of all heads in one half of the questions. A comparison with NaN, a figure not known, is false."""

    def __init__(self, figures: Figures, options: float, thresholds: Thresholds) -> None:
        self._of, self._options, self._at = figures, options, thresholds

    def _value(self, name: str) -> NDArray[Any]:
        return self._of[name].value

    def gaps(self) -> Bools:
        """For each letter whether the share on it is larger where it is right, `[letter, layer, head]`."""
        gap = self._value("right_label_share") - self._value("wrong_label_share")
        return np.asarray((gap >= self._at.gap) & (self._value("right_label_top") > self._at.top), bool)

    def _tested(self) -> Bools:
        """The letters that are right somewhere and wrong elsewhere, `[letter]`."""
        known = self._value("right_label_share") - self._value("wrong_label_share")
        return np.asarray(~np.isnan(known[:, 0, 0]), bool)

    def correct(self) -> Bools:
        tested = self._tested()
        gaps = self.gaps()[tested].all(axis=0) & (tested.sum() >= 2)
        looks = self._value("label_mass") >= self._at.mass
        return np.asarray(gaps & looks & (self._of["net"].low > 0), bool)

    def single(self) -> Bools:
        gaps = self.gaps()
        one = gaps & (gaps.sum(axis=0) == 1) & (self._tested().sum() >= 2)
        return np.asarray(one & (self._value("letter_mass") >= self._at.mass), bool)

    def constant(self) -> Bools:
        spread = self._value("label_entropy") >= self._at.entropy
        even = np.abs(self._value("right_share") - 1 / self._options) <= self._at.even
        return (self._value("label_mass") >= self._at.mass) & spread & even

    def amplification(self) -> Bools:
        writes = (self._value("leader") >= self._at.leader) & (self._of["leader"].low > 0)
        return (self._value("last_mass") >= self._at.last) & writes

    def content(self) -> Bools:
        return np.asarray(self._of["content"].low > 0, bool)

    def acts_through_others(self) -> Bools:
        return self.acts_by_size() & (self._value("total") > 0)

    def acts_by_size(self) -> Bools:
        total, direct = np.abs(self._value("total")), np.abs(self._value("direct"))
        return np.asarray((total >= self._at.total) & (total >= self._at.ratio * direct), bool)

    def fixed(self) -> Bools:
        """By letter: always looks at it, or writes for or against it alike whether it is right or not.

        What a head writes for one letter counts against the others, so only the letter with the largest effect does.
        """
        looks = (self._value("wrong_label_share") >= self._at.fixed) & (
            self._value("label_mass") >= self._at.mass
        )
        writes = self.fixed_sizes() >= self._at.fixed_net
        return np.asarray(looks | (writes & ~self.gaps()), bool)

    def fixed_sizes(self) -> NDArray[Any]:
        """The size of the net effect on a letter, right or not, `[letter, layer, head]`; 0 where it hangs on that."""
        right, wrong = self._of["net_right"], self._of["net_wrong"]
        sizes = []
        for sign in (1, -1):
            least = np.minimum(sign * right.value, sign * wrong.value)
            ends = [sign * end for mean in (right, wrong) for end in (mean.low, mean.high)]
            holds = (np.min(ends, axis=0) > 0) & (np.abs(right.value - wrong.value) <= least)
            sizes.append(np.where(holds, least, 0.0))
        size = np.maximum(*sizes)
        return np.where(size == size.max(axis=0), size, 0.0)

    def negative(self) -> Bools:
        own = self._of["net"]
        return np.asarray((own.value <= -self._at.negative) & (own.high < 0), bool)
