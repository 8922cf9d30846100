"""All choices of all pages. The address holds them: every page reads them there, every control writes them there.

Example: `/patching?model=qwen2.5-0.5b&bank=copy-colors&item=7&where=all&place=12` opens the page Patching on question 7
of the bank Copy-Colors. Heads are patched at all tokens, and the heads at the token with index 12 are shown in detail.
All other choices are at their defaults, so they are not in the address. `read` gives
`Chosen(model="qwen2.5-0.5b", bank="copy-colors", item=7, where="all", place=12)`; `write` gives the parameters back.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import streamlit as st

from app.address import READERS
from app.readers import (
    written,
)
from backend.contract.errors import LetterheadsError, shown
from backend.contract.head import HeadRef
from backend.contract.model import DEFAULT_MODEL
from backend.contract.question import Question


@dataclass(frozen=True)
class Chosen:
    """One field for each parameter of the address. A field at its default is left out of the address."""

    # Model: every page uses it, the page Model changes it.
    model: str = DEFAULT_MODEL
    dtype: str = "auto"
    quantization: str = "none"
    device: str = "auto"
    # Question. `item` counts the bank's questions from 1; 0 is the model's example. A typed `question` is used instead.
    bank: str = ""
    item: int = 0
    question: Question | None = None
    # Filters of the list of questions. `right` is the right option's number, from 1.
    subject: str = ""
    right: str = ""
    search: str = ""
    # Prompt, in the sidebar. `labels`: `A`, `a` or `1` for the series that starts there, or labels separated by blanks.
    template: str = "paper"
    labels: str = "A"
    shots: int = 0
    controls_as_text: bool = False
    custom: str = ""
    # One question, or the mean over a bank: at most its first `limit` questions.
    scope: str = "question"
    limit: int = 60
    # Which letter pages explain where the model does not say the right one.
    about: str = "said"
    # Attribution, Attention and Head. Effects are on the logit of `letter`; empty: the net effect.
    letter: str = ""
    role: str = ""
    reading: str = "plain"
    head: HeadRef | None = None
    # Patching, Effects and Paths: the two runs, and the metric. `other` is the metric's second letter.
    corruption: str = "swap_options"
    corrupted: str = ""
    draws: int = 1
    metric: str = "net_logit"
    other: str = ""
    # Patching. `place` is the index of the token whose heads are shown; at -1 the final token's are.
    component: str = "z"
    direction: str = "denoise"
    where: str = "final"
    shown: str = "recovered"
    place: int = -1
    # Effects.
    norm: str = "recomputed"
    # Paths. `node` is the kind of node; `head` or `mlp` says which one.
    mode: str = "receiver"
    node: str = "head"
    mlp: int = 0
    # Drift: the model that the chosen one is compared with. Empty: the same model.
    against: str = ""
    against_dtype: str = "float32"
    against_quantization: str = "none"
    # Subspace: the picture. `x`, `y` and `z` count components from 1.
    colour: str = "label"
    x: int = 1
    y: int = 2
    z: int = 3
    means: bool = False
    products: bool = False
    # Subspace: the vectors that are collected.
    at: str = "label"
    keep: str = "all"
    rotated: bool = False
    stacked: bool = True
    also: tuple[str, ...] = ()
    # Heads: how many questions, the axes and the colour of the scatter, the classes listed, thresholds not as usual.
    sampled: int = 24
    across: str = "direct"
    up: str = "total"
    shade: str = "class"
    only: tuple[str, ...] = ()
    thresholds: str = ""
    # Story: whether the lens is shown at all tokens; the heads whose arcs are off, and those that are not replaced.
    everywhere: bool = False
    hidden: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    # Patch Lens: what was put from one run into the other, the last one at the end, and which tokens are shown.
    patches: tuple[str, ...] = ()
    span: str = "stem"
    words: bool = False
    # Story: what of the head is moved to turn it, and in which form the question is asked again.
    way: str = "key"
    variant: str = "asked"
    # Circuit: what nodes are sorted by and replaced with, and a set of one's own.
    order: str = "total"
    replacement: str = "resample"
    nodes: tuple[str, ...] = ()
    # Mutations. `steered` counts the steered questions from 1; `towards` is the label steered at.
    measure: str = "loss"
    mutation: str = ""
    strength: float = 1.0
    steered: int = 1
    towards: str = ""


def read(params: Mapping[str, str]) -> tuple[Chosen, list[str]]:
    """The choices in an address, and one sentence for each parameter that cannot be used."""
    chosen, problems = Chosen(), []
    for name, text in params.items():
        reader = READERS.get(name)
        if reader is None:
            problems.append(
                f"The address has a parameter {shown(name)}, which is unknown here. It is ignored."
            )
            continue
        try:
            chosen = replace(chosen, **{name: reader(name, text)})
        except LetterheadsError as error:
            problems.append(f"{error} This value is in the address. The default is used instead.")
    return chosen, problems


def write(chosen: Chosen) -> dict[str, str]:
    """The address's parameters for these choices: `read(write(chosen)) == (chosen, [])`.

    The model is always written, because the default model depends on how the server was started.
    """
    names = (
        field.name
        for field in fields(chosen)
        if field.name == "model" or getattr(chosen, field.name) != field.default
    )
    return {name: written(getattr(chosen, name)) for name in names}


def current() -> tuple[Chosen, list[str]]:
    """The choices in the browser's address, and one sentence for each parameter that cannot be used."""
    params = {name: st.query_params[name] for name in st.query_params}
    default = os.environ.get("LETTERHEADS_MODEL", DEFAULT_MODEL)
    return read({"model": default, **params})


def change(**choices: Any) -> None:
    """Put some choices into the address. The others stay as they are."""
    st.query_params.from_dict(write(replace(current()[0], **choices)))


def bound(name: str, value: object) -> dict[str, Any]:
    """A widget's arguments for one choice: the widget shows `value`, and a user's choice goes into the address."""
    st.session_state[name] = value
    return {"key": name, "on_change": _take, "args": (name,)}


def _take(name: str) -> None:
    picked = st.session_state[name]
    # A second click on the chosen segment of a segmented control gives None. The choice then stays.
    if picked is not None:
        change(**{name: tuple(picked) if isinstance(picked, list) else picked})
