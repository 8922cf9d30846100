"""A row as a format reads it, before its answer's kind is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.contract.errors import shown
from backend.contract.question import Pair, Question
from backend.questions.formats.answers import missing
from backend.questions.formats.table import RowError


@dataclass(frozen=True)
class Raw:
    """`answer` is the cell as it is; `index` the right option's index where the format itself tells it."""

    stem: str
    options: tuple[str, ...]
    answer: object = None
    index: int | None = None
    subject: str = ""
    pairs: tuple[Pair, ...] = ()

    def question(self, index: int | None) -> Question:
        """The question with its right option. Raises QuestionError where it is not usable."""
        return Question(self.stem, self.options, index, self.subject or Question.subject, self.pairs)


def text(value: object, what: str) -> str:
    """A text with the line ends of Unix. Raises RowError where the value is none."""
    if not isinstance(value, str):
        raise RowError("not a text", f"The {what} must be a text, not {shown(value)}.")
    return value.replace("\r\n", "\n")


def texts(value: object, what: str = "options") -> tuple[str, ...]:
    """A list of texts. Raises RowError where the value is none."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise RowError("not a list", f"{what} must be a list of texts, not {shown(value)}.")
    return tuple(text(item, f"option {place}") for place, item in enumerate(value, start=1))


def subject_of(cells: Mapping[str, Any], *names: str) -> str:
    """The subject in one of these columns, with blanks for underlines as the public sets write them."""
    value = next((cells[name] for name in names if not missing(cells.get(name))), "")
    return text(value, "subject").replace("_", " ")


def labelled(choices: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels and texts of choices: a list of {label, text}, or {label: [...], text: [...]}.

    Raises RowError where they are of another form, or not as many labels as texts.
    """
    if isinstance(choices, Mapping):
        labels, options = texts(choices.get("label"), "labels"), texts(choices.get("text"))
    elif isinstance(choices, list) and all(isinstance(choice, Mapping) for choice in choices):
        labels = texts([choice.get("label") for choice in choices], "labels")
        options = texts([choice.get("text") for choice in choices])
    else:
        raise RowError("not a list", f"choices must be texts with labels, not {shown(choices)}.")
    if len(labels) != len(options):
        raise RowError("labels do not fit", f"{len(labels)} labels for {len(options)} options.")
    return labels, options


def at_label(key: object, labels: Sequence[str]) -> int | None:
    """The index of the label that `key` is; None where there is no key. Raises RowError for another key."""
    if missing(key):
        return None
    wanted = str(key).strip() if isinstance(key, str | int) and not isinstance(key, bool) else ""
    found = [place for place, label in enumerate(labels) if label.strip() == wanted]
    if len(found) != 1:
        raise RowError(
            "answer outside the options",
            f"The answer {shown(key)} is not one of the labels {', '.join(labels)}.",
        )
    return found[0]
