"""What the sections of the page Story share: the answer that they explain, their links, and their checks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from app.components.cost import UNASKED
from app.components.job import duration
from app.components.notice import quiet, sentence
from app.components.provenance import provenance_text
from app.selection import Selection
from app.state import change, write
from backend.contract.head import HeadRef
from backend.contract.result import Result

Parts = tuple[str, ...]
"""A sentence's parts, in turn plain and strong, as `notice.sentence` takes them."""


@dataclass(frozen=True)
class Answer:
    """The model's answer to the selected question: the story is about the letter said, right or wrong."""

    selection: Selection
    prediction: Result

    @property
    def said(self) -> str:
        """The letter said."""
        return str(self.prediction.scalars["predicted"])

    @property
    def place(self) -> int:
        """The index of the letter said, among the labels and among the options."""
        return self.selection.labels.index(self.said)

    def address(self, **choices: object) -> dict[str, str]:
        """The parameters for another page about the letter said, with these choices changed."""
        return write(replace(self.selection.chosen, about="said", **choices))  # type: ignore[arg-type]

    def start(self, text: str, passes: float) -> str:
        """A button's text with the time of so many forward passes; empty where it is short enough to begin at once."""
        seconds = passes * self.prediction.seconds
        return "" if seconds <= UNASKED else f"{text} (about {duration(seconds)})"


def tell(parts: Parts, key: str) -> str:
    """Draw a section's sentence. Returns it as text, to quote."""
    sentence(*parts, key=key, lead=True)
    return "".join(parts)


def choose_heads(label: str, heads: Sequence[HeadRef], field: str, off: Sequence[str]) -> list[HeadRef]:
    """Draw a switch for each head. Returns those that are on; the others' names are the `field` of the address."""
    names = [str(head) for head in heads]
    key = f"heads not {field}"
    st.session_state[key] = [name for name in names if name not in off]

    def take() -> None:
        on = st.session_state[key]
        change(**{field: tuple(name for name in names if name not in on)})

    on = st.pills(label, names, selection_mode="multi", key=key, on_change=take)
    return [head for head in heads if str(head) in on]


def page_link(page: str, label: str, icon: str, address: dict[str, str]) -> None:
    """The section's link to the page that holds the same figures, and more."""
    st.page_link(page, label=label, icon=icon, query_params=address)


def how_sure(key: str, results: Sequence[Result], *notes: str) -> None:
    """The figures that the section rests on: what they mean in words, then each result's checks."""
    with st.expander("How sure?"):
        for number, note in enumerate(notes):
            quiet(note, f"{key} note {number}")
        for number, result in enumerate(results):
            quiet(f"{result.request['analysis']}: {provenance_text(result)}", f"{key} check {number}")
