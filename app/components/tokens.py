"""A prompt's tokens as text, coloured by role or by value; drawn by tokens.js."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.components.roles import TINTS, kind_of
from app.components.take_away import take_away
from app.figures.twins import roles_twin, tokens_twin
from backend.contract.result import Result

_HERE = Path(__file__).parent
_MOUNT = st.components.v2.component(
    "letterheads_tokens",
    html=(_HERE / "tokens.html").read_text("utf-8"),
    css=(_HERE / "tokens.css").read_text("utf-8"),
    js=(_HERE / "tokens.js").read_text("utf-8"),
)


def pieces(tokens: Sequence[str], text: str) -> list[str]:
    """The tokens as they are shown. If several tokens make up one character, all but the first are empty.

    >>> pieces(["up ", "☝", "☝", "!"], "up ☝!")
    ['up ', '☝', '', '!']
    """
    shown, end = [], 0
    for token in tokens:
        if text.startswith(token, end):
            shown.append(token)
            end += len(token)
        elif text.endswith(token, 0, end):
            shown.append("")
        else:  # a special token, which is not part of the text
            shown.append(token)
    return shown


def token_name(token: str) -> str:
    r"""A token in a line of text: without spaces around it, and a line's end written as in a program.

    >>> print(token_name(" red"), token_name("\n"))
    red \n
    """
    return token.strip() or repr(token)[1:-1]


def tokens_by_role(title: str, prompt: Mapping[str, Any], key: str, *, of: Result | None = None) -> None:
    """Draw a result's prompt (`tokens`, `roles`, `text`), each token on its role's colour.

    `of`: the checked result that it is of, for its menu of files.
    """
    roles = prompt["roles"]
    data = {
        "title": title,
        "tokens": pieces(prompt["tokens"], prompt["text"]),
        "roles": [kind_of(role) for role in roles],
        "kinds": TINTS,
        "hover": [f"{position}: {role}" for position, role in enumerate(roles)],
    }
    _MOUNT(key=key, data=data)
    if of is not None:
        take_away(lambda: roles_twin(prompt["tokens"], roles, title=title), of, key=key, title=title)


def tokens_by_value(
    title: str,
    prompt: Mapping[str, Any],
    values: NDArray[np.float32],
    unit: str,
    key: str,
    *,
    diverging: bool,
    of: Result | None = None,
) -> None:
    """Draw the prompt with each token coloured by `values[position]`. Zero has no colour.

    `of`: the checked result that it is of, for its menu of files.
    """
    largest = float(np.abs(values).max()) or 1.0
    low = [(f"{-largest:.2g}", -largest)] if diverging else []
    data = {
        "title": title,
        "tokens": pieces(prompt["tokens"], prompt["text"]),
        "values": [float(value) for value in values],
        "range": [-largest if diverging else 0.0, largest],
        "diverging": diverging,
        "hover": [f"{position}: {value:.3g} {unit}" for position, value in enumerate(values)],
        "legend": [*low, ("0", 0.0), (f"{largest:.2g} {unit}", largest)],
    }
    _MOUNT(key=key, data=data)
    if of is not None:
        names = [token_name(token) for token in prompt["tokens"]]
        take_away(lambda: tokens_twin(names, values, title=title, unit=unit), of, key=key, title=title)
