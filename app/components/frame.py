"""The first part of every page: its title, the question and the prompt in the sidebar, and the selection."""

import streamlit as st

from app.backend_client import backend
from app.components.notice import cut, quiet, sentence, warning_box
from app.navigation import QUESTION_PAGE, guide_link
from app.selection import SERIES, Selection, select, series
from app.state import bound, current, write
from backend.contract.client import Client
from backend.contract.custom_template import EXAMPLE, MAX_CHARACTERS
from backend.contract.prompt import MAX_SHOTS, TEMPLATES

TEMPLATE_NAMES = {
    "paper": "paper: our reconstruction",
    "plain": "plain: no first sentence",
    "chat": "chat: the model's own format",
    "square": "square: with [A] for (A)",
    "mmlu": "mmlu: as the harnesses print MMLU",
    "colon": "colon: A: text, with an instruction",
    "arc": "arc: Question: and Answer:",
    "custom": "custom: a text of your own",
}


def open_page(title: str, intro: str, guide: str) -> tuple[Client, Selection]:
    """Draw it. Return the client and the selection. A warning reports parameters of the address that cannot be used.

    `guide` is the name of the page's guide in docs/guide.
    """
    st.title(title)
    sentence(*intro.split("**"), key="intro", explain=True)
    guide_link(guide)
    client = backend()
    chosen, problems = current()
    selection, more = select(chosen, client)
    warning_box([*problems, *more], "address")
    with st.sidebar:
        _prompt_controls(selection)
    return client, selection


def _prompt_controls(selection: Selection) -> None:
    chosen = selection.chosen
    st.subheader("Prompt")
    st.selectbox(
        "Template",
        TEMPLATES,
        format_func=TEMPLATE_NAMES.__getitem__,
        help="paper is our reconstruction of the prompt of Lieberum et al. 2023; its exact wording is not known to us.",
        **bound("template", chosen.template),
    )
    if chosen.template == "custom":
        st.text_area(
            "Text of the template",
            height=200,
            max_chars=MAX_CHARACTERS,
            help="Places: {subject}, {stem}, {label} and {option} on one line that is written for each option, and "
            "{answer} at the end. What stands before the first blank line is written once.",
            **bound("custom", chosen.custom or EXAMPLE),
        )
    known = tuple(SERIES)
    st.selectbox(
        "Labels",
        known if chosen.labels in known else (*known, chosen.labels),
        format_func=lambda text: f"{', '.join(series(text)[:3])}, …" if text in known else text,
        accept_new_options=True,
        help="Or type your own, one for each option, with a blank between them: K P X Z",
        **bound("labels", chosen.labels),
    )
    st.slider(
        "Shots",
        0,
        MAX_SHOTS,
        help="Solved questions of the same subject, put in front of this one.",
        **bound("shots", chosen.shots),
    )


def show_question(selection: Selection) -> None:
    """Draw the chosen question in the sidebar."""
    with st.sidebar:
        st.subheader("Question")
        sentence(cut(selection.question.stem, 600), key="stem")
        rows = zip(selection.labels, selection.question.options, strict=True)
        quiet(
            "\n".join(
                f"{label}  {cut(option)}{'  ✓' if label == selection.right else ''}" for label, option in rows
            ),
            "options",
        )
        st.page_link(
            QUESTION_PAGE,
            label="Choose another",
            icon=":material/edit:",
            query_params=write(selection.chosen),
        )
