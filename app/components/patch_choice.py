"""The two runs and what is measured between them: controls that all patching pages share."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.patching_names import CORRUPTIONS, METRICS
from app.selection import Selection
from app.state import bound


def choose_corruption(row: DeltaGenerator, selection: Selection) -> dict[str, Any] | None:
    """Draw the choice in `row`; the request's corruption, or None while its text is still to be written."""
    chosen = selection.chosen
    row.selectbox(
        "Corrupted prompt",
        CORRUPTIONS,
        format_func=CORRUPTIONS.__getitem__,
        width=290,
        **bound("corruption", chosen.corruption),
    )
    if chosen.corruption == "text":
        st.text_area(
            "The whole corrupted prompt, as many tokens as the clean one",
            placeholder="Copy the prompt of the Question page and change some words.",
            **bound("corrupted", chosen.corrupted),
        )
        return {"kind": "text", "prompt": chosen.corrupted} if chosen.corrupted else None
    if chosen.corruption == "question":
        return {"kind": "question", "bank": selection.bank.name}
    return {"kind": chosen.corruption}


def choose_metric(row: DeltaGenerator, selection: Selection) -> dict[str, str]:
    """Draw the choice in `row`; the request's metric, of the right letter where one is right."""
    chosen = selection.chosen
    row.selectbox(
        "Measured by", METRICS, format_func=METRICS.__getitem__, width=290, **bound("metric", chosen.metric)
    )
    if chosen.metric == "kl":
        return {"kind": "kl"}
    target = selection.right or selection.labels[0]
    if chosen.metric != "logit_difference":
        return {"kind": chosen.metric, "label": target}
    others = [label for label in selection.labels if label != target]
    other = chosen.other if chosen.other in others else others[0]
    row.selectbox("Other letter", others, width=120, **bound("other", other))
    return {"kind": chosen.metric, "label": target, "other": other}
