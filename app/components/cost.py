"""How long an analysis takes on this machine, told on the button that starts it."""

import streamlit as st

from app.components.job import answer_of, duration
from backend.contract.client import Client
from backend.contract.request import Request
from backend.contract.result import Result


def with_duration(client: Client, request: Request, text: str) -> str:
    """The button's `text`, with how long the request takes here, unless its result is there or nothing can be told."""
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
    # What it takes to tell is drawn here, and gone before the button is.
    with st.container():
        cost = answer_of(client, asked, f"cost {request.analysis}")
    if not isinstance(cost, Result):
        return text
    return f"{text} (about {duration(cost.scalars['expected_seconds'])})"
