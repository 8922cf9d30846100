"""One parameter of the address, read and written. A reader takes name and text; RequestError for a bad value."""

import json
import math
from collections.abc import Callable, Collection

from backend.contract.choices import STRONGEST
from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.kinds import Whole
from backend.contract.param import Param
from backend.contract.question import Question
from backend.contract.stream_patch import StreamPatch
from backend.questions.mutations import MUTATIONS
from backend.results.head_classes import CLASSES

MAX_ALSO = 3
MAX_HEADS = 64
MAX_PATCHES = 32
LISTED = (*CLASSES, "negative", "none")
"""What a list of heads can be narrowed down to."""
MAX_NODES = 400
ALSO = {name: mutation.title for name, mutation in MUTATIONS.items() if name != "base"}
"""Titles of the mutations that can be shown in addition to the unchanged prompts, by name."""


def free(name: str, text: str) -> str:
    return text


def named(name: str, text: str) -> str:
    if not text.strip():
        raise RequestError(f"{name} is empty.")
    return text


def one_of(allowed: Collection[str]) -> Callable[[str, str], str]:
    def reader(name: str, text: str) -> str:
        if text not in allowed:
            raise RequestError(f"{name} must be one of {', '.join(allowed)}, not {shown(text)}.")
        return text

    return reader


def whole(low: int, high: int) -> Callable[[str, str], int]:
    def reader(name: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            raise RequestError(f"{name} must be a whole number from {low} to {high}, not {shown(text)}.")
        return int(text)

    return reader


def within(param: Param) -> Callable[[str, str], int]:
    """The whole numbers that a request's parameter takes."""
    low, high = ends_of(param)
    return whole(low, high)


def ends_of(param: Param) -> tuple[int, int]:
    """The least and the largest value of a request's parameter, a whole number with both ends."""
    kind = param.kind
    if not isinstance(kind, Whole) or kind.low is None or kind.high is None:
        raise TypeError(f"{param.name} is not a whole number with a least and a largest value.")
    return kind.low, kind.high


def strength(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -STRONGEST <= value <= STRONGEST:
        raise RequestError(f"{name} must be a number from -{STRONGEST} to {STRONGEST}, not {shown(text)}.")
    return value


def truth(name: str, text: str) -> bool:
    return one_of(("True", "False"))(name, text) == "True"


def mutations(name: str, text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for one in names:
        one_of(ALSO)(name, one)
    if len(names) > MAX_ALSO or len(set(names)) < len(names):
        raise RequestError(f"{name} must be at most {MAX_ALSO} different mutations, not {shown(text)}.")
    return names


def classes(name: str, text: str) -> tuple[str, ...]:
    """Classes of heads, separated by commas, each once."""
    names = tuple(text.split(","))
    for one in names:
        one_of(LISTED)(name, one)
    if len(set(names)) < len(names):
        raise RequestError(f"{name} must name each class once, not {shown(text)}.")
    return names


def question(name: str, text: str) -> Question:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name} must be JSON, not {shown(text)}.") from error
    return Question.from_json(data)


def head(name: str, text: str) -> HeadRef:
    head = HeadRef.parse(text)
    if max(head.layer, head.head) > 9999:
        raise RequestError(f"No model has a head {shown(text)}.")
    return head


def heads(name: str, text: str) -> tuple[str, ...]:
    """Names of heads, separated by commas, each once and in the one form in which heads are written."""
    names = tuple(str(head(name, one)) for one in text.split(","))
    if len(names) > MAX_HEADS or len(set(names)) < len(names):
        raise RequestError(f"{name} must be at most {MAX_HEADS} different heads, not {shown(text)}.")
    return names


def blocks(name: str, text: str) -> tuple[str, ...]:
    """Blocks of the residual stream, separated by commas, each once and in the one form in which they are written."""
    found = tuple(str(StreamPatch.parse(one)) for one in text.split(","))
    if len(found) > MAX_PATCHES or len(set(found)) < len(found):
        raise RequestError(f"{name} must be at most {MAX_PATCHES} different blocks, not {shown(text)}.")
    return found


def written(value: object) -> str:
    """A value as the address has it: what its reader reads."""
    if isinstance(value, Question):
        return json.dumps(value.to_json(), ensure_ascii=False, separators=(",", ":"))
    return ",".join(value) if isinstance(value, tuple) else str(value)


def nodes(name: str, text: str) -> tuple[str, ...]:
    """Names of heads and MLPs (`L16H7`, `MLP 20`), separated by commas, each once."""
    names = tuple(_node(name, one) for one in text.split(","))
    if len(names) > MAX_NODES or len(set(names)) < len(names):
        raise RequestError(f"{name} must be at most {MAX_NODES} different heads and MLPs, not {shown(text)}.")
    return names


def _node(name: str, text: str) -> str:
    kind, _, layer = text.partition(" ")
    return f"MLP {whole(0, 9999)(name, layer)}" if kind == "MLP" else str(head(name, text))
