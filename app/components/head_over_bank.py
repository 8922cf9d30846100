"""The first controls of pages about one head over many questions: the head, the bank, how many questions."""

import streamlit as st

from app.components.bank_choice import choose_questions
from app.components.head_choice import choose_head, head_in_hand
from app.components.job import result_of
from app.selection import Selection
from backend.contract.client import Client
from backend.contract.head import HeadRef


def head_over_bank(client: Client, selection: Selection) -> HeadRef | None:
    """Draw the controls. Return the head, or None until the model's heads are known."""
    choose_questions(client, selection, st.container(horizontal=True, vertical_alignment="bottom"))
    attribution = result_of(client, selection.ask("attribution"), "attribution")
    if attribution is None:
        return None
    head = head_in_hand(attribution, selection)
    choose_head(head, attribution["heads"].shape)
    return head
