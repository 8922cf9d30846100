"""What a bank is."""

from dataclasses import dataclass

from backend.contract.question import Question


@dataclass(frozen=True)
class Bank:
    """Questions under a name; `title` is the name for people."""

    name: str
    title: str
    questions: tuple[Question, ...]
