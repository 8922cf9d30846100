"""Controls for the bank, and for how many of its questions are used."""

from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.address import MAX_LIMIT
from app.selection import Selection
from app.state import bound, change
from backend.contract.client import Client


def choose_bank(client: Client, selection: Selection, width: int | Literal["stretch"] = "stretch") -> None:
    """Draw the list of banks. A user can also type the name of a data set of the hub."""
    titles = {card.name: card.title for card in client.banks()} | {selection.bank.name: selection.bank.title}
    st.session_state["bank"] = selection.bank.name
    st.selectbox(
        "Bank",
        list(titles),
        format_func=lambda name: titles.get(name, name),
        accept_new_options=True,
        help="Or type a data set of the Hugging Face hub: hub:cais/mmlu/astronomy",
        key="bank",
        on_change=lambda: change_bank(st.session_state["bank"]),
        width=width,
    )


def choose_questions(client: Client, selection: Selection, row: DeltaGenerator, width: int = 260) -> None:
    """Draw into `row` the controls for the bank and for the number of its questions."""
    with row:
        choose_bank(client, selection, width)
    row.number_input(
        "Questions at most", 1, MAX_LIMIT, step=20, width=160, **bound("limit", selection.chosen.limit)
    )


def change_bank(name: str) -> None:
    """Go to a bank's first question, and remove the filters, which belong to the previous bank."""
    if name:
        change(bank=name, item=1, subject="", right="", search="")
