"""What an analysis gives: its arrays and scalars by name, and when they are there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
"""An analysis' parameters, canonical, with `given`: "question", "questions" or "nothing"."""
ENDS = ("", "_low", "_high")
"""What a mean and the ends of its 95 % interval are called, after their name."""


@dataclass(frozen=True)
class When:
    """When something is part of a result. `holds` gives None where the model or its tokens decide it."""

    says: str
    holds: Callable[[Values], bool | None]


ALWAYS = When("", lambda values: True)
ONE = When("one question", lambda values: values["given"] == "question")
SEVERAL = When("several questions", lambda values: values["given"] == "questions")
WITH_HEAD = When("with `head`", lambda values: values["given"] == "question" and values["head"] is not None)
SEVERAL_HEADS = When("several `heads`", lambda values: values["heads"] is not None)
ONE_HEAD = When("one head", lambda values: values["heads"] is None)


@dataclass(frozen=True)
class By:
    """A unit or axes that a parameter decides: an attribute of the card that it names.

    `path` leads to the parameter: `("metric", "kind")`.
    """

    path: tuple[str, ...]
    cards: Mapping[str, Any]
    attribute: str

    @property
    def says(self) -> str:
        """In words: `by metric.kind`."""
        return f"by `{'.'.join(self.path)}`"

    def chosen(self, values: Values) -> Any:
        """What holds for these parameters."""
        found: Any = values
        for step in self.path:
            found = found[step]
        return getattr(self.cards[found], self.attribute)


@dataclass(frozen=True)
class ArraySpec:
    """One array, or several alike.

    Attributes:
        name: with `variants` what their names begin with.
        axes, unit: of each; a `By` where a parameter decides.
        meaning: one sentence.
        when: when it is there.
        variants: what is put after the name, one array each.
        ends: whether each also has its 95 % interval, as `_low` and `_high`.
    """

    name: str
    axes: tuple[str, ...] | By
    unit: str | By
    meaning: str
    when: When = ALWAYS
    variants: tuple[str, ...] = ("",)
    ends: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its arrays.

        >>> ArraySpec("net", ("layer",), "logits", "", ends=True).names
        ('net', 'net_low', 'net_high')
        """
        ends = ENDS if self.ends else ("",)
        return tuple(f"{self.name}{variant}{end}" for variant in self.variants for end in ends)

    def shape(self, values: Values) -> tuple[tuple[str, ...], str]:
        """Axes and unit for these parameters."""
        axes = self.axes.chosen(values) if isinstance(self.axes, By) else self.axes
        return axes, self.unit.chosen(values) if isinstance(self.unit, By) else self.unit


@dataclass(frozen=True)
class ScalarSpec:
    """One scalar, or several alike: a number, a text, a list or an object."""

    name: str
    meaning: str
    unit: str = ""
    when: When = ALWAYS
    variants: tuple[str, ...] = ("",)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its scalars."""
        return tuple(f"{self.name}{variant}" for variant in self.variants)
