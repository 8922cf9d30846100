"""What is chosen. The address is the state: every page reads it from there, every control writes it there."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import streamlit as st

from app.patching_names import (
    COMPONENTS,
    CORRUPTIONS,
    DIRECTIONS,
    METRICS,
    MODES,
    NODES,
    NORMS,
    POSITIONS,
    SHOWN,
)
from app.subspace_names import ALSO, COLOURINGS, KEPT, KEY_PLACES, MAX_ALSO
from backend.errors import LetterheadsError, RequestError, shown
from backend.questions.prompt import MAX_SHOTS, TEMPLATES
from backend.questions.question import Question
from backend.results.request import DEFAULT_MODEL, DEVICES, DTYPES, QUANTIZATIONS, HeadRef

SCOPES = ("question", "bank")
READINGS = ("plain", "value-weighted")
MEASURES = ("loss", "accuracy")
MAX_LIMIT = 5000
MAX_DRAWS = 5
MAX_STRENGTH = 100


@dataclass(frozen=True)
class Chosen:
    """All choices of all pages. A field at its default is left out of the address.

    `item` counts a bank's questions from 1; `question` is one that was typed and goes before bank and item.
    `labels` is `A`, `a` or `1` for the series that starts there, or own labels with blanks between.
    `node` says which kind of node is looked at; `head` or `mlp` then says which one. `x`, `y` and `z` count components
    of a subspace from 1. `against` is the model that the chosen one is compared with, the same one where it is empty.
    """

    model: str = DEFAULT_MODEL
    dtype: str = "auto"
    quantization: str = "none"
    device: str = "auto"
    bank: str = ""
    item: int = 1
    question: Question | None = None
    subject: str = ""
    right: str = ""
    search: str = ""
    template: str = "paper"
    labels: str = "A"
    shots: int = 0
    scope: str = "question"
    limit: int = 60
    letter: str = ""
    role: str = ""
    reading: str = "plain"
    head: HeadRef | None = None
    corruption: str = "swap_options"
    corrupted: str = ""
    draws: int = 1
    component: str = "z"
    direction: str = "denoise"
    metric: str = "net_logit"
    other: str = ""
    where: str = "final"
    shown: str = "recovered"
    place: int = -1
    norm: str = "recomputed"
    mode: str = "receiver"
    node: str = "head"
    mlp: int = 0
    against: str = ""
    against_dtype: str = "float32"
    against_quantization: str = "none"
    colour: str = "label"
    x: int = 1
    y: int = 2
    z: int = 3
    means: bool = False
    products: bool = False
    at: str = "label"
    keep: str = "all"
    rotated: bool = False
    stacked: bool = True
    also: tuple[str, ...] = ()
    measure: str = "loss"
    mutation: str = ""
    strength: float = 1.0
    steered: int = 1
    towards: str = ""


def read(params: Mapping[str, str]) -> tuple[Chosen, list[str]]:
    """The choices an address holds, and one sentence for each part of it that could not be used."""
    chosen, problems = Chosen(), []
    for name, text in params.items():
        reader = READERS.get(name)
        if reader is None:
            problems.append(f"The address holds {shown(name)}, which means nothing here.")
            continue
        try:
            chosen = replace(chosen, **{name: reader(name, text)})
        except LetterheadsError as error:
            problems.append(f"{error} The address had it so; the default is used instead.")
    return chosen, problems


def write(chosen: Chosen) -> dict[str, str]:
    """The address' parameters for these choices: `read(write(chosen)) == (chosen, [])`.

    The model is always among them: which one is the default depends on how the server was started.
    """
    told = (
        field.name
        for field in fields(chosen)
        if field.name == "model" or getattr(chosen, field.name) != field.default
    )
    return {name: _text(getattr(chosen, name)) for name in told}


def current() -> tuple[Chosen, list[str]]:
    """The choices of the address in the browser, and what of it could not be used."""
    params = {name: st.query_params[name] for name in st.query_params}
    default = os.environ.get("LETTERHEADS_MODEL", DEFAULT_MODEL)
    return read({"model": default, **params})


def change(**choices: Any) -> None:
    """Put some choices into the address; the others stay."""
    st.query_params.from_dict(write(replace(current()[0], **choices)))


def bound(name: str, value: object) -> dict[str, Any]:
    """The arguments that tie a widget to one choice: it shows `value` and writes what the user picks."""
    st.session_state[name] = value
    return {"key": name, "on_change": _take, "args": (name,)}


def _take(name: str) -> None:
    picked = st.session_state[name]
    # A second click on the chosen segment of a segmented control unchooses it; keep the choice.
    if picked is not None:
        change(**{name: tuple(picked) if isinstance(picked, list) else picked})


def _text(value: object) -> str:
    if isinstance(value, Question):
        return json.dumps(value.to_json(), ensure_ascii=False, separators=(",", ":"))
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _free(name: str, text: str) -> str:
    return text


def _named(name: str, text: str) -> str:
    if not text.strip():
        raise RequestError(f"{name} is empty.")
    return text


def _one_of(allowed: Iterable[str]) -> Callable[[str, str], str]:
    choices = tuple(allowed)

    def reader(name: str, text: str) -> str:
        if text not in choices:
            raise RequestError(f"{name} must be one of {', '.join(choices)}, not {shown(text)}.")
        return text

    return reader


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def reader(name: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            raise RequestError(f"{name} must be a whole number from {low} to {high}, not {shown(text)}.")
        return int(text)

    return reader


def _strength(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -MAX_STRENGTH <= value <= MAX_STRENGTH:
        raise RequestError(
            f"{name} must be a number from -{MAX_STRENGTH} to {MAX_STRENGTH}, not {shown(text)}."
        )
    return value


def _truth(name: str, text: str) -> bool:
    return _one_of(("True", "False"))(name, text) == "True"


def _mutations(name: str, text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for one in names:
        _one_of(ALSO)(name, one)
    if len(names) > MAX_ALSO or len(set(names)) < len(names):
        raise RequestError(f"{name} must be at most {MAX_ALSO} different mutations, not {shown(text)}.")
    return names


def _question(name: str, text: str) -> Question:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name} must be JSON, not {shown(text)}.") from error
    return Question.from_json(data)


def _head(name: str, text: str) -> HeadRef:
    head = HeadRef.parse(text)
    if max(head.layer, head.head) > 9999:
        raise RequestError(f"No model has a head {shown(text)}.")
    return head


READERS: dict[str, Callable[[str, str], Any]] = {
    "model": _named,
    "dtype": _one_of(DTYPES),
    "quantization": _one_of(QUANTIZATIONS),
    "device": _one_of(DEVICES),
    "bank": _named,
    "item": _whole(1, 10**6),
    "question": _question,
    "subject": _free,
    "right": _free,
    "search": _free,
    "template": _one_of(TEMPLATES),
    "labels": _named,
    "shots": _whole(0, MAX_SHOTS),
    "scope": _one_of(SCOPES),
    "limit": _whole(1, MAX_LIMIT),
    "letter": _named,
    "role": _named,
    "reading": _one_of(READINGS),
    "head": _head,
    "corruption": _one_of(CORRUPTIONS),
    "corrupted": _free,
    "draws": _whole(1, MAX_DRAWS),
    "component": _one_of(COMPONENTS),
    "direction": _one_of(DIRECTIONS),
    "metric": _one_of(METRICS),
    "other": _named,
    "where": _one_of(POSITIONS),
    "shown": _one_of(SHOWN),
    "place": _whole(0, 10**6),
    "norm": _one_of(NORMS),
    "mode": _one_of(MODES),
    "node": _one_of(NODES),
    "mlp": _whole(0, 9999),
    "against": _free,
    "against_dtype": _one_of(DTYPES),
    "against_quantization": _one_of(QUANTIZATIONS),
    "colour": _one_of(COLOURINGS),
    "x": _whole(1, 9999),
    "y": _whole(1, 9999),
    "z": _whole(1, 9999),
    "means": _truth,
    "products": _truth,
    "at": _one_of(KEY_PLACES),
    "keep": _one_of(KEPT),
    "rotated": _truth,
    "stacked": _truth,
    "also": _mutations,
    "measure": _one_of(MEASURES),
    "mutation": _free,
    "strength": _strength,
    "steered": _whole(1, MAX_LIMIT),
    "towards": _free,
}
