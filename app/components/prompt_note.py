"""What is special about a prompt, and how control tokens that the question quotes are read."""

import streamlit as st

from app.components.notice import quiet, warning_box
from app.selection import Selection
from app.state import bound
from backend.contract.result import Result


def show_prompt_notes(result: Result, selection: Selection) -> None:
    """Draw the result's `notes`, and below a switch where the question quotes control tokens. Draw nothing without."""
    notes = result.scalars.get("notes", ())  # an older result has none
    controls = result.scalars.get("controls")
    if controls and not selection.chosen.controls_as_text:
        warning_box(notes, "prompt")
    elif notes:
        quiet("\n".join(notes), "prompt")
    if controls:
        st.checkbox(
            "Read control tokens in the question as plain text",
            help="Holds for all pages and for every question, its options and its solved questions. The tokens of the "
            "model's own chat format stay what they are.",
            **bound("controls_as_text", selection.chosen.controls_as_text),
        )
