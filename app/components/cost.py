"""How long an analysis takes on this machine, shown on the button that starts it."""

import streamlit as st

from app.components.job import Draw, answer_of, duration, result_of
from backend.contract.client import Client
from backend.contract.errors import LetterheadsError
from backend.contract.request import Request
from backend.contract.result import Result

UNASKED = 15.0
"""Seconds that a page may compute for without having been asked."""


def result_at_price(
    client: Client, request: Request, place: str, text: str, draw: Draw | None = None
) -> Result | None:
    """As `result_of`; what takes longer than `UNASKED` waits for a click on a button that says how long it takes.

    `text` is what stands on the button. With `draw` see `result_of`.
    """
    start = start_button(client, request, text)
    return None if start is None else result_of(client, request, place, draw=draw, start=start)


def start_button(client: Client, request: Request, text: str) -> str | None:
    """The text of the button that starts the request; empty if it may start by itself. None while that is not known."""
    try:
        if client.find(request) is not None:
            return ""
    except LetterheadsError:
        return ""  # whoever asks for the result shows it
    cost = _cost(client, request)
    if cost is None:
        return None
    # What cannot be estimated starts, so that its own error is shown.
    long = isinstance(cost, Result) and cost.scalars["expected_seconds"] > UNASKED
    return _priced(text, cost) if long else ""


def with_duration(client: Client, request: Request, text: str) -> str:
    """The button's `text` with the request's duration; `text` alone if the result is stored or no estimate is known."""
    if client.find(request) is not None:
        return text
    return _priced(text, _cost(client, request))


def _cost(client: Client, request: Request) -> Result | LetterheadsError | None:
    asked = Request.build(
        "cost",
        model=request.model,
        prompt=request.prompt,
        question=request.question,
        questions=request.questions,
        params={"analysis": request.analysis, "params": request.params},
    )
    # Progress of the estimate is drawn here, then replaced by the button.
    with st.container():
        return answer_of(client, asked, f"cost {request.analysis}")


def _priced(text: str, cost: Result | LetterheadsError | None) -> str:
    if not isinstance(cost, Result):
        return text
    return f"{text} (about {duration(cost.scalars['expected_seconds'])})"
