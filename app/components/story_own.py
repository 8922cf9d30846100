"""Story: the question as it was understood, a box for another one, and fields to correct it."""

from pathlib import Path

import streamlit as st

from app.components.notice import cut, quiet, sentence
from app.components.question_editor import Draft, edit_question
from app.navigation import QUESTION_PAGE
from app.selection import Selection
from app.state import bound, change, current, write
from backend.contract.client import Client
from backend.contract.errors import LetterheadsError
from backend.contract.question import MAX_OPTIONS, MIN_OPTIONS, Question
from backend.questions.pasted import Pasted, split_question

_HERE = Path(__file__).parent
_MOUNT = st.components.v2.component(
    "letterheads_paste_box",
    html=(_HERE / "paste_box.html").read_text("utf-8"),
    css=(_HERE / "paste_box.css").read_text("utf-8"),
    js=(_HERE / "paste_box.js").read_text("utf-8"),
)
BOX = "paste box"


def ask_text(text: str, asked: Question) -> None:
    """Ask the question in a pasted text. If it is not one, what was understood goes into the fields to correct it.

    `asked` is the question that the page is about.
    """
    pasted = split_question(text)
    try:
        question = pasted.question()
    except LetterheadsError as error:
        st.session_state["draft"] = _draft(pasted, asked, error)
        return
    st.session_state.pop("draft", None)
    change(question=question, hidden=(), kept=())


def _draft(pasted: Pasted, asked: Question, error: LetterheadsError) -> Draft:
    options = list(pasted.options[:MAX_OPTIONS])
    options += [""] * (MIN_OPTIONS - len(options))
    return Draft(
        asked,
        pasted.stem,
        Question.subject,
        options,
        pasted.answer,
        error,
        marked=pasted.answer is not None,
        named=False,
    )


def show_own(client: Client, selection: Selection) -> None:
    """Draw the question and the ways to another."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_question(selection)
    with right:
        _MOUNT(
            key=BOX,
            data={"hint": "It is asked as soon as you paste it."},
            on_asked_change=lambda: ask_text(st.session_state[BOX].asked, selection.question),
        )
        _choose_model(client, selection)
    draft: Draft | None = st.session_state.get("draft")
    failed = draft is not None and draft.error is not None and draft.asked == selection.question
    with st.expander("What was understood" if failed else "Correct this question", expanded=failed):
        edit_question(selection)


def _choose_model(client: Client, selection: Selection) -> None:
    """Draw the catalogue's models. The page Model offers others, and how they are loaded."""
    titles = {
        card.name: card.title + ("" if card.ready else f" · {card.bytes / 1e9:.1f} GB to fetch")
        for card in client.models()
    }
    chosen = selection.chosen.model
    st.selectbox(
        "Model",
        list(titles) if chosen in titles else [*titles, chosen],
        format_func=lambda name: titles.get(name, name),
        **bound("model", chosen),
    )


def _show_question(selection: Selection) -> None:
    question = selection.question
    sentence("", cut(question.stem, 600), key="own stem", lead=True)
    rows = zip(selection.labels, question.options, strict=True)
    quiet(
        "\n".join(
            f"{label})  {cut(option)}{'  ✓ right' if label == selection.right else ''}"
            for label, option in rows
        ),
        "own options",
    )
    if selection.right is None:
        quiet("No option is marked as right, so nothing here judges the answer.", "own right")
    st.page_link(
        QUESTION_PAGE,
        label="Choose one from a bank",
        icon=":material/list:",
        query_params=write(current()[0]),
    )
