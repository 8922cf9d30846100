"""What an analysis is: a name, what it takes, and a function from a task to findings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor

from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Array
from backend.engine.instrument import Instrument
from backend.questions.prompt import Prompt
from backend.results.checkpoint import Checkpoint

MOST_HEADS = 16


@dataclass(frozen=True)
class Findings:
    """What an analysis returns; the fields are those of Result."""

    arrays: Mapping[str, Array] = field(default_factory=dict)
    ticks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scalars: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A request with its questions fetched, and the shots that go before each of them.

    `checkpoint` is where a long analysis may keep what it has finished; `show` may be given findings that are not
    whole yet, NaN where nothing is known, for whoever waits to look at.
    """

    request: Request
    questions: tuple[Question, ...]
    shots: tuple[tuple[Question, ...], ...]
    checkpoint: Checkpoint | None = None
    show: Callable[[Findings], None] | None = None

    def prompts(self, instrument: Instrument) -> list[Prompt]:
        """The rendered prompts, one a question. Raises QuestionError."""
        pairs = zip(self.questions, self.shots, strict=True)
        return [instrument.prompt(question, self.request.prompt, shots) for question, shots in pairs]


@dataclass(frozen=True)
class Analysis:
    """One entry of the registry. `version` goes up when the meaning of a result changes.

    `takes` says which of question and questions a request must carry; `params` names what it may carry beside.
    """

    name: str
    version: int
    summary: str
    takes: tuple[Literal["question", "questions", "nothing"], ...]
    run: Callable[[Instrument, Task, Progress], Findings]
    params: tuple[str, ...] = ()

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
            _several(request)
        if "head" in request.params:
            HeadRef.from_json(request.params["head"])
            if given == "questions" and "question" in self.takes:
                raise RequestError("params.head goes with one question, not with several.")


def chosen_head(instrument: Instrument, request: Request) -> HeadRef | None:
    """The head named in params, if any. Raises RequestError where the model has no such head."""
    if "head" not in request.params:
        return None
    return _existing(instrument, HeadRef.from_json(request.params["head"]))


def chosen_heads(instrument: Instrument, request: Request) -> tuple[HeadRef, ...]:
    """The heads named in params, from the lowest layer up: one `head` or several `heads`. Raises RequestError."""
    if "heads" not in request.params:
        head = chosen_head(instrument, request)
        return () if head is None else (head,)
    found = sorted(_several(request), key=lambda head: (head.layer, head.head))
    return tuple(_existing(instrument, head) for head in found)


def _several(request: Request) -> list[HeadRef]:
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


def _existing(instrument: Instrument, head: HeadRef) -> HeadRef:
    shape = instrument.shape
    if head.layer >= shape.layers or head.head >= shape.heads:
        raise RequestError(
            f"There is no head {head}: {instrument.resolved.name} has layers 0 to {shape.layers - 1} "
            f"and heads 0 to {shape.heads - 1}."
        )
    return head


def array(values: Tensor | np.ndarray[Any, Any], axes: tuple[str, ...], unit: str) -> Array:
    """A result's array from a tensor or numpy array: float32, contiguous, on the CPU."""
    plain = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    return Array(np.asarray(plain, dtype=np.float32, order="C"), axes, unit)


def layer_head_ticks(instrument: Instrument) -> dict[str, tuple[str, ...]]:
    """Tick texts of the layer and head axes."""
    shape = instrument.shape
    return {
        "layer": tuple(str(layer) for layer in range(shape.layers)),
        "head": tuple(str(head) for head in range(shape.heads)),
    }


def prompt_scalars(prompt: Prompt) -> dict[str, Any]:
    """What every result about one prompt says of it."""
    return {
        "text": prompt.text,
        "tokens": list(prompt.tokens),
        "roles": list(prompt.roles),
        "labels": list(prompt.labels),
        "answer": None if prompt.answer is None else prompt.labels[prompt.answer],
    }
