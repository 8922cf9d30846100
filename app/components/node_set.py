"""A set of heads and MLPs, edited by hand, and what it recovers."""

from typing import Any

import streamlit as st

from app.components.job import result_of
from app.components.notice import quiet, sentence
from app.components.provenance import provenance_text
from app.figures.net import Node
from app.readers import MAX_NODES
from app.selection import Selection
from app.state import bound
from backend.contract.client import Client
from backend.contract.request import Request
from backend.contract.result import Result

RANDOM = 3


def edit_set(client: Client, selection: Selection, found: Result) -> None:
    """Draw the set, at first the smallest that suffices, with what it recovers on all questions."""
    st.subheader("Change the set")
    first = (found.scalars["smallest"] or {"nodes": found.scalars["nodes"][:8]})["nodes"]
    chosen = list(selection.chosen.nodes or first[:MAX_NODES])
    known = list(dict.fromkeys([*found.scalars["nodes"], *chosen]))
    st.multiselect(
        "Heads and MLPs that are kept",
        known,
        help="Begins with the smallest set that suffices. Take nodes out or put others in; the figures follow.",
        **bound("nodes", chosen),
    )
    if not chosen:
        return
    result = result_of(client, set_request(found, chosen), "node set")
    if result is not None:
        _show(result)


def set_request(found: Result, names: list[str]) -> Request:
    """The request for this set, on the questions that a result was scored on and with its replacement."""
    asked = Request.from_json(found.request)
    params: dict[str, Any] = {
        name: asked.params[name] for name in ("corruption", "metric", "replacement") if name in asked.params
    }
    params |= {"nodes": [_node(name) for name in names], "held_out": True, "random": RANDOM}
    return Request.build(
        "sufficiency", model=asked.model, prompt=asked.prompt, questions=asked.questions, params=params
    )


def _node(name: str) -> dict[str, Any]:
    node = Node.named(name, 0.0)
    return {"mlp": node.layer} if node.head is None else {"head": [node.layer, node.head]}


def _show(result: Result) -> None:
    count = len(result.scalars["nodes"])
    sentence(
        "",
        f"{count} node{'s' * (count != 1)} kept alone recover {percent(result, 'sufficiency')}",
        f" of the answer live, and {percent(result, 'sufficiency_fixed')} held at their clean outputs. Replaced "
        f"together, they lose {percent(result, 'necessity')}; replaced one at a time, "
        f"{float(result['singles'][-1]):.0%} in sum. {RANDOM} random sets of as many heads and MLPs recover "
        f"{float(result['random_sufficiency'].mean()):.0%} on average.",
        key="own set",
    )
    quiet(provenance_text(result), "own set checks")


def percent(result: Result, name: str, index: int = -1) -> str:
    """`94 % (68 % to 119 %)`."""
    value, low, high = (float(result[f"{name}{end}"][index]) for end in ("", "_low", "_high"))
    return f"{value:.0%}" if low != low else f"{value:.0%} ({low:.0%} to {high:.0%})"
