"""How long an analysis takes on this machine, shown on the button that starts it."""

import streamlit as st

from app.components.job import answer_of, duration
from backend.contract.client import Client
from backend.contract.request import Request
from backend.contract.result import Result


def with_duration(client: Client, request: Request, text: str) -> str:
    """The button's `text` with the request's duration; `text` alone if the result is stored or no estimate is known."""
    if client.find(request) is not None:
        return text
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
        cost = answer_of(client, asked, f"cost {request.analysis}")
    if not isinstance(cost, Result):
        return text
    return f"{text} (about {duration(cost.scalars['expected_seconds'])})"
