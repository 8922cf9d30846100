"""Fields for writing a question. The text is a draft. The button that asks puts it into the address."""

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
    """The contents of the fields, valid or not. `asked` is the question that the draft started from.

    `marked` and `named`: whether the right option and the subject were chosen for this draft. Those of `asked` do not
    hold for another text.
    """

    asked: Question
    stem: str
    subject: str
    options: list[str]
    answer: int | None
    error: LetterheadsError | None = None
    marked: bool = False
    named: bool = False

    def write(self, name: str, text: str) -> None:
        """Take the stem or the subject from its field."""
        setattr(self, name, text)
        if name == "subject":
            self.named = True
        else:
            self._is_another()

    def write_option(self, index: int, text: str) -> None:
        self.options[index] = text
        self._is_another()

    def mark(self, answer: int | None) -> None:
        self.answer, self.marked = answer, True

    def remove(self, index: int) -> None:
        del self.options[index]
        if self.answer is not None and self.answer >= index:
            self.answer = None if self.answer == index else self.answer - 1

    def _is_another(self) -> None:
        if not self.marked:
            self.answer = None
        if not self.named:
            self.subject = Question.subject


def edit_question(selection: Selection) -> None:
    """Draw the fields and the button that asks. An invalid draft stays in the fields, with the reason below."""
    draft = _draft(selection.question)
    left, right = st.columns([3, 1])
    left.text_area("Question", height=80, **_field(draft, "stem"))
    right.text_input("Subject", **_field(draft, "subject"))
    for index, option in enumerate(draft.options):
        _option(draft, index, option, selection)
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
    row.button("No right answer known", key="no answer", on_click=draft.mark, args=(None,),
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
    return {"key": key, "on_change": lambda: draft.write(name, st.session_state[key])}


def _option(draft: Draft, index: int, option: str, selection: Selection) -> None:
    key = f"draft option {index}"
    st.session_state[key] = option
    labels = selection.prompt.labels
    label = labels[index] if index < len(labels) else str(index + 1)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.text_input(
        f"Option {index + 1}, labelled `{label}`" if label.isalnum() else f"Option {index + 1}",
        key=key,
        on_change=lambda: draft.write_option(index, st.session_state[key]),
    )
    row.button(
        "Right",
        key=f"right {index}",
        help="This option is the right one" if draft.answer != index else "This is the right option",
        type="primary" if draft.answer == index else "secondary",
        icon=":material/check:" if draft.answer == index else None,
        on_click=draft.mark,
        args=(index,),
    )
    row.button(
        "Remove",
        key=f"remove {index}",
        on_click=draft.remove,
        args=(index,),
        disabled=len(draft.options) <= MIN_OPTIONS,
    )


def _ask(draft: Draft) -> None:
    try:
        question = Question(draft.stem, tuple(draft.options), draft.answer, draft.subject)
    except LetterheadsError as error:
        draft.error = error
    else:
        draft.error, draft.asked = None, question
        draft.marked = draft.named = False
        change(question=question)
