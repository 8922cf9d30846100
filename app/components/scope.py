"""The choice between one question and the mean over a bank."""

from streamlit.delta_generator import DeltaGenerator

from app.address import SCOPES
from app.components.bank_choice import choose_questions
from app.selection import Selection
from app.state import bound
from backend.contract.client import Client

NAMES = {"question": "This question", "bank": "Mean over a bank"}


def choose_scope(client: Client, selection: Selection, row: DeltaGenerator) -> bool:
    """Draw the choice into `row`; for a bank also its name and number of questions. True if it is a bank."""
    row.segmented_control(
        "Scope",
        SCOPES,
        format_func=NAMES.__getitem__,
        required=True,
        **bound("scope", selection.chosen.scope),
    )
    if selection.chosen.scope == "question":
        return False
    choose_questions(client, selection, row)
    return True
