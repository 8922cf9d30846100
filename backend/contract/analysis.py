"""What an analysis takes and gives. Its function is imported at the first call, since torch takes seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.request import Request

MOST_HEADS = 16
Takes = Literal["question", "questions", "nothing"]


@dataclass(frozen=True)
class Lazy:
    """A function by the names of its module and itself, imported at the first call."""

    module: str
    function: str

    def __call__(self, *arguments: Any) -> Any:
        return getattr(import_module(self.module), self.function)(*arguments)


@dataclass(frozen=True)
class Analysis:
    """One entry of the registry.

    Attributes:
        name: as requests name it.
        version: goes up when the meaning of a result changes; saved results of the old one are then not used.
        summary: one line for people.
        takes: which of question and questions a request must carry.
        run: from an Instrument, a Task and a Progress to Findings.
        params: the names of what a request may carry in params.
        stored: whether its result is saved. An estimate is of this machine, now, and is not.
        interactive: whether it is answered in about a forward pass, and so goes before longer jobs that wait.
    """

    name: str
    version: int
    summary: str
    takes: tuple[Takes, ...]
    run: Callable[..., Any]
    params: tuple[str, ...] = ()
    stored: bool = True
    interactive: bool = False

    def check(self, request: Request) -> None:
        """Refuse what can be refused without a model. Raises RequestError."""
        given = "nothing"
        if request.question is not None:
            given = "question"
        elif request.questions is not None:
            given = "questions"
        if given not in self.takes:
            raise RequestError(
                f"The analysis {self.name} takes {' or '.join(self.takes)}; this request carries {given}."
            )
        for name in request.params:
            if name not in self.params:
                allowed = ", ".join(self.params) or "none"
                raise RequestError(f"{self.name} has no parameter {shown(name)}. Parameters: {allowed}.")
        if "heads" in request.params:
            several_heads(request)
        if "head" in request.params:
            HeadRef.from_json(request.params["head"])
            if given == "questions" and "question" in self.takes:
                raise RequestError("params.head goes with one question, not with several.")


def several_heads(request: Request) -> list[HeadRef]:
    """The heads that params.heads names, in its order. Raises RequestError."""
    given = request.params["heads"]
    if "head" in request.params:
        raise RequestError("params.head is for one head and params.heads for several. Give one of them.")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_HEADS:
        raise RequestError(
            f"params.heads must be a list of 1 to {MOST_HEADS} heads, as in [[15, 13], [16, 7]], not {shown(given)}."
        )
    heads = [HeadRef.from_json(head) for head in given]
    for head in heads:
        if heads.count(head) > 1:
            raise RequestError(f"params.heads names {head} twice. Name each head once.")
    return heads
