"""A prompt with arcs from its last token to the tokens that heads read; drawn by arcs.js."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.components.tokens import pieces, token_name
from app.figures.gaze import Arc, option_of
from app.figures.letters import letter_colour
from app.figures.style import COLOURS

_HERE = Path(__file__).parent
_MOUNT = st.components.v2.component(
    "letterheads_arcs",
    html=(_HERE / "arcs.html").read_text("utf-8"),
    css=(_HERE / "arcs.css").read_text("utf-8"),
    js=(_HERE / "arcs.js").read_text("utf-8"),
)
ELSEWHERE = COLOURS[-1]


def show_arcs(title: str, prompt: Mapping[str, Any], arcs: Sequence[Arc], key: str) -> None:
    """Draw a result's prompt (its `tokens`, `roles`, `text` and `labels`) with these arcs.

    An arc's width is its share, its colour that of the letter whose option the token belongs to.
    """
    roles, labels, tokens = prompt["roles"], prompt["labels"], prompt["tokens"]
    places = [option_of(role) for role in roles]
    colours = [ELSEWHERE if place is None else letter_colour(place) for place in places]
    data = {
        "title": title,
        "tokens": pieces(tokens, prompt["text"]),
        "tints": [None if place is None else colour for place, colour in zip(places, colours, strict=True)],
        "arcs": [
            {
                "head": arc.head,
                "position": arc.position,
                "share": arc.share,
                "colour": colours[arc.position],
                "hover": f"{arc.head}: {arc.share:.1%} of its attention on '{token_name(tokens[arc.position])}', "
                f"token {arc.position + 1} ({roles[arc.position]})",
            }
            for arc in arcs
        ],
        "legend": [
            *((f"option {label}", letter_colour(place)) for place, label in enumerate(labels)),
            ("elsewhere", ELSEWHERE),
        ],
    }
    _MOUNT(key=key, data=data)
