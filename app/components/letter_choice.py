"""Which letter the page explains, and the control where the model does not say the right one."""

import streamlit as st

from app.address import ABOUT
from app.components.job import result_of
from app.components.notice import quiet
from app.letter import Letter, letter_explained
from app.selection import Selection
from app.state import bound
from backend.contract.client import Client


def choose_letter(client: Client, selection: Selection) -> Letter | None:
    """Ask what the model says, and draw what the page is about where that is not plain. None while it is not known."""
    prediction = result_of(client, selection.ask("prediction"), "prediction")
    if prediction is None:
        return None
    letter = letter_explained(str(prediction.scalars["predicted"]), selection)
    show_letter(letter, selection)
    return letter


def show_letter(letter: Letter, selection: Selection) -> None:
    """Draw it; nothing where the model says the right letter."""
    if letter.right is None:
        quiet(f"No option is marked as right: this page is about {letter.name}.", "letter")
    elif letter.right != letter.said:
        named = {"said": f"{letter.said}, which the model says", "right": f"{letter.right}, which is right"}
        st.segmented_control(
            "Explain the letter",
            ABOUT,
            format_func=named.__getitem__,
            required=True,
            help="The model does not say the right letter. Each of the two has its own reasons.",
            **bound("about", selection.chosen.about),
        )
