"""Messages and sentences, shown as plain text, since they may contain what a user typed. Each needs its own key."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import streamlit as st

from app.glossary import Mark, marks
from backend.contract.errors import LetterheadsError

_HERE = Path(__file__).parent
_MOUNT = st.components.v2.component(
    "letterheads_notice",
    html=(_HERE / "notice.html").read_text("utf-8"),
    css=(_HERE / "notice.css").read_text("utf-8"),
    js=(_HERE / "notice.js").read_text("utf-8"),
)


def error_box(error: LetterheadsError, key: str = "error") -> None:
    """Draw an error. Every page shows errors with this."""
    _show(key, "error", "This did not work.", [(str(error), False)])


def warning_box(problems: Sequence[str], key: str) -> None:
    """Draw the problems that did not stop the page; draw nothing if there are none."""
    if problems:
        _show(key, "warning", "", [("\n".join(problems), False)])


def sentence(*parts: str, key: str, lead: bool = False, explain: bool = False) -> None:
    """Draw parts, in turn plain and **strong**: `sentence("It says ", "B", ".", key="says")`.

    With `lead` or `explain`, words of the glossary in plain parts get an explanation, which a pointer or the keyboard
    opens. So a text that a user typed has to be a strong part there.
    """
    told = [(part, number % 2 == 1) for number, part in enumerate(parts)]
    _show(key, "lead" if lead else "plain", "", told, marks(parts) if lead or explain else ())


def quiet(text: str, key: str) -> None:
    """Draw a small line, such as a result's provenance."""
    _show(key, "quiet", "", [(text, False)])


def cut(text: str, most: int = 120) -> str:
    """The text, or its first `most` characters and an ellipsis.

    >>> cut("a short one"), cut("a long one", 6)
    ('a short one', 'a long …')
    """
    return text if len(text) <= most else f"{text[:most].rstrip()} …"


def _show(
    key: str, kind: str, title: str, parts: list[tuple[str, bool]], explained: Sequence[Mark] = ()
) -> None:
    data = {
        "kind": kind,
        "title": f"{title} " if title else "",
        "parts": parts,
        "marks": [astuple(mark) for mark in explained],
    }
    _MOUNT(key=f"notice {key}", data=data)
