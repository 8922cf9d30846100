"""Which corrupted prompt is taken: the one asked for, or the first that the question can have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.letter import Letter
from app.selection import Selection
from backend.contract.corruptions import CORRUPTIONS
from backend.contract.kinds import BankName, Label, Text
from backend.contract.request import Request
from backend.contract.result import Result


@dataclass(frozen=True)
class Corruptions:
    """The kinds that can be chosen, and why each other one cannot."""

    offered: tuple[str, ...]
    refused: Mapping[str, str]

    def taken(self, wanted: str) -> str:
        """The kind that was asked for if it is possible, else the first that is.

        >>> Corruptions(("shuffle_labels", "text"), {"swap_options": "No other."}).taken("swap_options")
        'shuffle_labels'
        """
        return wanted if wanted in self.offered else self.offered[0]


def ask_corruptions(selection: Selection, letter: Letter) -> Request:
    """The request that `corruptions_of` reads the answer of."""
    label = {} if letter.is_right else {"label": letter.label}
    return selection.ask("possible-corruptions", bank=selection.bank.name, **label)


def corruptions_of(possible: Result) -> Corruptions:
    """Those of one question. A text of one's own always is one more."""
    tried = {one["kind"]: one for one in possible.scalars["corruptions"]}
    return Corruptions(
        offered=tuple(kind for kind in CORRUPTIONS if kind not in tried or tried[kind]["possible"]),
        refused={kind: str(one["says"]) for kind, one in tried.items() if not one["possible"]},
    )


def corruptions_over_bank() -> Corruptions:
    """Those of many questions: questions that cannot have the one that is chosen are left out."""
    return Corruptions(tuple(kind for kind, one in CORRUPTIONS.items() if not one.one_question_only), {})


def corruption_params(
    kind: str, selection: Selection, letter: Letter | None, text: str = ""
) -> dict[str, Any]:
    """As a request names it. Over a bank `letter` is None: each question has its own. `text` is the whole prompt."""
    given: dict[str, Any] = {"kind": kind}
    for field in CORRUPTIONS[kind].fields:
        if isinstance(field.kind, BankName):
            given[field.name] = selection.bank.name
        if isinstance(field.kind, Text):
            given[field.name] = text
        if isinstance(field.kind, Label) and letter is not None and not letter.is_right:
            given[field.name] = letter.label
    return given
