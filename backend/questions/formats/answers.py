"""Which option an answer names. A number may be counted from 0 or from 1: where both fit, the user is asked."""

import math
from collections.abc import Callable, Sequence

from backend.contract.errors import QuestionError, shown
from backend.contract.files import ANSWER_KINDS
from backend.questions.formats.table import RowError

LETTERS = "ABCDEFGHIJ"
# A kind of answer is believed where it fits every row, or alone fits this share of them.
BELIEVED = 0.8

Options = Sequence[str]


def missing(value: object) -> bool:
    """Whether a cell holds no answer: null, a blank text, or the NaN that tables write for it."""
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, float) and math.isnan(value))
    )


def _letter(value: object, options: Options) -> int | None:
    text = value.strip().upper() if isinstance(value, str) else ""
    return LETTERS.index(text) if len(text) == 1 and text in LETTERS[: len(options)] else None


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return int(value.strip()) if len(value.strip()) < 4 else None
    return None


def _counted_from(first: int) -> Callable[[object, Options], int | None]:
    def index(value: object, options: Options) -> int | None:
        number = _number(value)
        return number - first if number is not None and 0 <= number - first < len(options) else None

    return index


def _text(value: object, options: Options) -> int | None:
    texts = [option.strip() for option in options]
    text = value.strip() if isinstance(value, str) else None
    return texts.index(text) if text is not None and texts.count(text) == 1 else None


# One entry for each of ANSWER_KINDS.
KINDS: dict[str, Callable[[object, Options], int | None]] = {
    "letter": _letter,
    "from-0": _counted_from(0),
    "from-1": _counted_from(1),
    "text": _text,
}


def index_of(value: object, options: Options, kind: str) -> int:
    """The index of the right option. Raises RowError where the answer is none of the options."""
    found = KINDS[kind](value, options)
    if found is None:
        raise RowError(
            "answer outside the options",
            f"The answer {shown(value)} is none of the {len(options)} options (read as {ANSWER_KINDS[kind]}).",
        )
    return found


def kind_of(rows: Sequence[tuple[object, Options]], allowed: Sequence[str]) -> str:
    """The kind of all answers of a file, each given with its options.

    Raises QuestionError where two kinds fit and name different options, or where none fits.
    """
    rows = [(value, options) for value, options in rows if not missing(value)]
    named = {kind: [KINDS[kind](value, options) for value, options in rows] for kind in allowed}
    share = {
        kind: sum(index is not None for index in found) / max(1, len(rows)) for kind, found in named.items()
    }
    fitting = [kind for kind in allowed if share[kind] == 1]
    if not fitting:
        fitting = [kind for kind in allowed if share[kind] >= BELIEVED]
    different = {tuple(named[kind]): kind for kind in reversed(fitting)}
    if len(different) > 1:
        kinds = [kind for kind in fitting if kind in different.values()]
        raise QuestionError(
            f"The answers can be read in {len(kinds)} ways: "
            + "; or ".join(f"as {ANSWER_KINDS[kind]} ({kind})" for kind in kinds)
            + ". Say which it is."
        )
    if fitting:
        return next(iter(different.values()))
    best = max(allowed, key=lambda kind: share[kind])
    if share[best] > 0 or len(allowed) == 1:
        return best
    raise QuestionError(
        f"The answers are no letter, number or text of an option; the first are "
        f"{', '.join(shown(value, 30) for value, _ in rows[:3])}."
    )
