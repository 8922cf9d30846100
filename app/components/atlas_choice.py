"""The controls of the page Heads: questions, thresholds of the classes, axes, and which heads are listed."""

from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import thresholds
from app.address import MAX_LIMIT
from app.components.bank_choice import choose_bank
from app.components.patch_choice import choose_corruption
from app.corruption import corruptions_over_bank
from app.figures.atlas import AXES, SHADES
from app.readers import LISTED
from app.selection import Selection
from app.state import bound, change, current
from backend.contract.choices import QUESTIONS_USED
from backend.contract.client import Client
from backend.contract.request import QuestionSet, Request
from backend.results.head_classes import Thresholds


def atlas_request(selection: Selection, corruption: dict[str, Any] | None = None) -> Request:
    """The request for the atlas of the chosen bank."""
    questions = QuestionSet(selection.bank.name, min(selection.chosen.sampled, selection.bank.questions))
    params = {} if corruption is None else {"corruption": corruption}
    return Request.build(
        "heads", model=selection.model, prompt=selection.prompt, questions=questions, params=params
    )


def choose_atlas(client: Client, selection: Selection) -> Request | None:
    """Draw the controls for bank, number of questions and corruption. None until a corrupted text is written."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        choose_bank(client, selection, 260)
    row.number_input(
        "Questions at most", 1, MAX_LIMIT, step=8, width=160, **bound("sampled", selection.chosen.sampled)
    )
    corruption = choose_corruption(row, selection, None, corruptions_over_bank())
    return None if corruption is None else atlas_request(selection, corruption)


def choose_thresholds(selection: Selection) -> Thresholds:
    """Draw a slider for each threshold, and a button that sets all to their usual values."""
    chosen = thresholds.parsed(selection.chosen.thresholds)
    with st.expander("Thresholds of the classes", icon=":material/tune:"):
        st.caption(
            "The thresholds are ours. Moving one names the heads again at once; the model is not needed."
        )
        for names in (list(thresholds.RANGES)[:6], list(thresholds.RANGES)[6:]):
            for column, name in zip(st.columns(3) * 2, names, strict=True):
                _slider(column, name, getattr(chosen, name))
        st.button(
            "Usual thresholds",
            on_click=change,
            kwargs={"thresholds": ""},
            disabled=not selection.chosen.thresholds,
        )
    return chosen


def _slider(column: DeltaGenerator, name: str, value: float) -> None:
    ends, key = thresholds.RANGES[name], f"threshold {name}"
    st.session_state[key] = float(value)

    def take() -> None:
        now = thresholds.parsed(current()[0].thresholds)
        change(thresholds=thresholds.written(replace(now, **{name: round(st.session_state[key], 6)})))

    column.slider(
        ends.title, float(ends.low), float(ends.high), step=float(ends.step), key=key, on_change=take
    )


def choose_sample(selection: Selection) -> str:
    """Draw the choice between all questions and those answered right."""
    st.segmented_control(
        "Questions",
        QUESTIONS_USED,
        format_func=QUESTIONS_USED.__getitem__,
        required=True,
        **bound("keep", selection.chosen.keep),
    )
    return selection.chosen.keep


def choose_axes(selection: Selection, known: list[str]) -> tuple[str, str, str]:
    """Draw the choices of both axes and the colour, of the `known` columns. One that is not known is at its default."""
    chosen = selection.chosen
    picked = []
    row = st.container(horizontal=True, vertical_alignment="bottom")
    for name, text, offered, usual in (
        ("across", "Across", known, "direct"),
        ("up", "Up", known, "total"),
        ("shade", "Colour", [one for one in SHADES if one == "class" or one in known], "class"),
    ):
        value = getattr(chosen, name) if getattr(chosen, name) in offered else usual
        row.selectbox(text, offered, format_func=_title, width=290, **bound(name, value))
        picked.append(value)
    return picked[0], picked[1], picked[2]


def choose_listed(selection: Selection) -> tuple[str, ...]:
    """Draw the filter of the table: heads of any of these classes; all if none is chosen."""
    st.multiselect(
        "List only",
        LISTED,
        placeholder="every head",
        help="Heads of any of these classes. Negative heads write against the right letter.",
        **bound("only", list(selection.chosen.only)),
    )
    return selection.chosen.only


def _title(name: str) -> str:
    return name if name == "class" else AXES[name].title
