"""Writing a question: what is typed is a draft until it is asked, and then part of the address."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.notice import error_box
from app.selection import Selection
from app.state import change
from backend.contract.errors import LetterheadsError
from backend.contract.question import MAX_OPTIONS, MIN_OPTIONS, Question


@dataclass
class Draft:
    """What is in the fields, usable or not. `asked` is the question that it began as."""

    asked: Question
    stem: str
    subject: str
    options: list[str]
    answer: int | None
    error: LetterheadsError | None = None


def edit_question(selection: Selection) -> None:
    """The fields and the button that asks. An unusable draft stays as it is, with the reason under it."""
    draft = _draft(selection.question)
    left, right = st.columns([3, 1])
    left.text_area("Question", height=80, **_field(draft, "stem"))
    right.text_input("Subject", **_field(draft, "subject"))
    for place, option in enumerate(draft.options):
        _option(draft, place, option, selection)
    row = st.container(horizontal=True, vertical_alignment="center")
    row.button("Ask the model", key="ask", type="primary", on_click=_ask, args=(draft,))
    row.button(
        "Add an option",
        icon=":material/add:",
        key="add option",
        on_click=draft.options.append,
        args=("",),
        disabled=len(draft.options) >= MAX_OPTIONS,
    )
    row.button("No right answer known", key="no answer", on_click=_mark, args=(draft, None),
               disabled=draft.answer is None)  # fmt: skip
    if draft.error is not None:
        error_box(draft.error, "draft")


def _draft(question: Question) -> Draft:
    draft: Draft | None = st.session_state.get("draft")
    if draft is None or draft.asked != question:
        draft = Draft(question, question.stem, question.subject, list(question.options), question.answer)
        st.session_state["draft"] = draft
    return draft


def _field(draft: Draft, name: str) -> dict[str, Any]:
    key = f"draft {name}"
    st.session_state[key] = getattr(draft, name)
    return {"key": key, "on_change": lambda: setattr(draft, name, st.session_state[key])}


def _option(draft: Draft, place: int, option: str, selection: Selection) -> None:
    key = f"draft option {place}"
    st.session_state[key] = option
    labels = selection.prompt.labels
    label = labels[place] if place < len(labels) else str(place + 1)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.text_input(
        f"Option {place + 1}, labelled `{label}`" if label.isalnum() else f"Option {place + 1}",
        key=key,
        on_change=lambda: draft.options.__setitem__(place, st.session_state[key]),
    )
    row.button(
        "Right",
        key=f"right {place}",
        help="This option is the right one" if draft.answer != place else "This is the right option",
        type="primary" if draft.answer == place else "secondary",
        icon=":material/check:" if draft.answer == place else None,
        on_click=_mark,
        args=(draft, place),
    )
    row.button(
        "Remove",
        key=f"remove {place}",
        on_click=_remove,
        args=(draft, place),
        disabled=len(draft.options) <= MIN_OPTIONS,
    )


def _mark(draft: Draft, answer: int | None) -> None:
    draft.answer = answer


def _remove(draft: Draft, place: int) -> None:
    del draft.options[place]
    if draft.answer is not None and draft.answer >= place:
        draft.answer = None if draft.answer == place else draft.answer - 1


def _ask(draft: Draft) -> None:
    try:
        question = Question(draft.stem, tuple(draft.options), draft.answer, draft.subject)
    except LetterheadsError as error:
        draft.error = error
    else:
        draft.error, draft.asked = None, question
        change(question=question)
