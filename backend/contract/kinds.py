"""The kinds of values that a parameter takes: each reads a value into its canonical form, or refuses it in words.

A canonical value is JSON-ready, and one for all ways to say the same: `[16, 7]` for "L16H7", sorted where the order
says nothing. `where` names the value in messages, as in `params.rank`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backend.contract.asked import Asked
from backend.contract.choices import POSITIONS
from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.question import Question

MOST_HEADS = 16


class Kind(Protocol):
    """One kind of values."""

    @property
    def says(self) -> str:
        """What values there are, in words that follow "must be"."""

    def read(self, where: str, value: object, asked: Asked) -> Any:
        """The canonical form. Raises RequestError or QuestionError that names the value."""


@dataclass(frozen=True)
class Whole:
    """A whole number, both ends included."""

    low: int | None = None
    high: int | None = None

    @property
    def says(self) -> str:
        if self.low is None:
            return "a whole number"
        if self.high is None:
            return f"a whole number, {self.low} or more"
        return f"a whole number from {self.low} to {self.high}"

    def read(self, where: str, value: object, asked: Asked) -> int:
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        low = number is not None and (self.low is None or self.low <= number)
        if number is None or not low or (self.high is not None and number > self.high):
            raise _refusal(where, self, value)
        return number


@dataclass(frozen=True)
class Number:
    """A number, both ends included; with `above` the low end is not."""

    low: float
    high: float
    above: bool = False

    @property
    def says(self) -> str:
        if self.above:
            return f"a number above {self.low:,g}, at most {self.high:,.0f}"
        return f"a number from {self.low:g} to {self.high:g}"

    def read(self, where: str, value: object, asked: Asked) -> float:
        if type(value) not in (int, float) or not self.low <= value <= self.high:  # type: ignore[operator]
            raise _refusal(where, self, value)
        number = float(value) + 0.0  # type: ignore[arg-type]  # -0.0 is 0.0
        if self.above and number == self.low:
            raise _refusal(where, self, value)
        return number


@dataclass(frozen=True)
class TrueFalse:
    """A switch."""

    says = "true or false"

    def read(self, where: str, value: object, asked: Asked) -> bool:
        if not isinstance(value, bool):
            raise _refusal(where, self, value)
        return value


@dataclass(frozen=True)
class Word:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def says(self) -> str:
        return f"one of {', '.join(self.words)}"

    def read(self, where: str, value: object, asked: Asked) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise _refusal(where, self, value)
        return value


@dataclass(frozen=True)
class Text:
    """A text that is not empty."""

    says: str = "a text"

    def read(self, where: str, value: object, asked: Asked) -> str:
        if not isinstance(value, str) or not value:
            raise _refusal(where, self, value)
        return value


@dataclass(frozen=True)
class BankName:
    """The name of a bank of questions, looked up when the request's own questions are."""

    says = "a bank's name"

    def read(self, where: str, value: object, asked: Asked) -> str:
        if not isinstance(value, str) or not value:
            raise _refusal(where, self, value)
        return value


@dataclass(frozen=True)
class Label:
    """One of the labels that the prompt shows."""

    says = "one of the prompt's labels"

    def read(self, where: str, value: object, asked: Asked) -> str:
        if not isinstance(value, str) or value not in asked.labels:
            raise RequestError(
                f"{where} must be one of the labels {', '.join(asked.labels)}, not {shown(value)}."
            )
        return value


@dataclass(frozen=True)
class OneQuestion:
    """A question, given as in a request."""

    says = "a question as in a request"

    def read(self, where: str, value: object, asked: Asked) -> dict[str, Any]:
        question = Question.from_json(value)
        asked.check_labels(question)
        return question.to_json()


@dataclass(frozen=True)
class Head:
    """An attention head, `[16, 7]` or "L16H7"."""

    says = '[layer, head], as in [16, 7], or "L16H7"'

    def read(self, where: str, value: object, asked: Asked) -> list[int]:
        head = HeadRef.from_json(value)
        return [head.layer, head.head]


@dataclass(frozen=True)
class Heads:
    """Several heads, each once; from the lowest layer up."""

    says = f"a list of 1 to {MOST_HEADS} heads, as in [[15, 13], [16, 7]]"

    def read(self, where: str, value: object, asked: Asked) -> list[list[int]]:
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_HEADS:
            raise _refusal(where, self, value)
        heads = [HeadRef.from_json(head) for head in value]
        for head in heads:
            if heads.count(head) > 1:
                raise RequestError(f"{where} names {head} twice. Name each head once.")
        return sorted([head.layer, head.head] for head in heads)


@dataclass(frozen=True)
class Numbers:
    """A list of numbers; sorted, each once. `noun` is what one of them is called."""

    noun: str
    each: Whole | Number
    most: int | None = None

    @property
    def says(self) -> str:
        what = "whole numbers" if isinstance(self.each, Whole) else "numbers"
        return f"a list of {what}" if self.most is None else f"a list of 1 to {self.most} {what}"

    def read(self, where: str, value: object, asked: Asked) -> list[float]:
        if not isinstance(value, list) or not value or len(value) > (self.most or len(value)):
            raise _refusal(where, self, value)
        try:
            return sorted({self.each.read(where, one, asked) for one in value})
        except RequestError:
            bad = next(one for one in value if not self._takes(one, asked))
            raise RequestError(f"A {self.noun} is {self.each.says}, not {shown(bad)}.") from None

    def _takes(self, value: object, asked: Asked) -> bool:
        try:
            self.each.read("", value, asked)
        except RequestError:
            return False
        return True


@dataclass(frozen=True)
class Positions:
    """Positions of the prompt: all, the final one or, where `listed`, those of a list."""

    listed: bool = True

    @property
    def says(self) -> str:
        return '"all", "final" or a list of positions' if self.listed else '"all" or "final"'

    def read(self, where: str, value: object, asked: Asked) -> str | list[int]:
        if isinstance(value, str) and value in POSITIONS:
            return value
        if not (self.listed and isinstance(value, list) and value):
            raise _refusal(where, self, value)
        for position in value:
            if type(position) is not int:
                raise _refusal(where, self, value)
            if position < 0:
                raise RequestError(f"Position {shown(position)} is out of range: positions count from 0.")
        return list(dict.fromkeys(value))


def listed(words: Sequence[str]) -> str:
    """Words joined with commas and a final "and".

    >>> listed(["seconds", "megabytes"])
    'seconds and megabytes'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _refusal(where: str, kind: Kind, value: object) -> RequestError:
    return RequestError(f"{where} must be {kind.says}, not {shown(value)}.")
