"""The questions of a picture as a table. It lets the keyboard reach each question."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.navigation import open_question


def question_table(questions: Sequence[Mapping[str, Any]], bank: str, key: str) -> None:
    """Draw a row for each of a result's `questions`. Selecting a row opens it; `item` is its index in the bank."""

    def picked() -> None:
        for row in st.session_state[key]["selection"]["rows"]:
            item = questions[row]["item"]
            if item is not None:
                open_question(bank, item + 1)

    table = pd.DataFrame(
        {
            "right": [str(question["answer"]) for question in questions],
            "says": [
                f"{question['predicted']} {'✓' if question['right'] else '✗'}" for question in questions
            ],
            "question": [" ".join(question["stem"].split()) for question in questions],
            "subject": [question["subject"] for question in questions],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=picked,
        selection_mode="single-row",
        height=540 if len(questions) > 15 else "content",
        column_config={
            "right": st.column_config.TextColumn(width=50),
            "says": st.column_config.TextColumn(width=50),
            "question": st.column_config.TextColumn(width="medium"),
        },
        alt="The questions of the picture",
    )
    _open_by_name(questions, bank, f"open {key}")


def _open_by_name(questions: Sequence[Mapping[str, Any]], bank: str, key: str) -> None:
    """A list of the questions' first words; the one chosen is opened."""

    def named() -> None:
        place = st.session_state[key]
        if place is not None:
            open_question(bank, questions[place]["item"] + 1)

    st.selectbox(
        "Open a question",
        [place for place, question in enumerate(questions) if question["item"] is not None],
        index=None,
        format_func=lambda place: f"{place + 1} · {' '.join(questions[place]['stem'].split())}",
        key=key,
        on_change=named,
        placeholder="by its name, or select a row above",
    )
