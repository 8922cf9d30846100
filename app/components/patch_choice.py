"""The two runs and what is measured between them: controls that all patching pages share."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.patching_names import CORRUPTIONS, METRICS
from app.selection import Selection
from app.state import bound


def choose_corruption(
    row: DeltaGenerator, selection: Selection, *, over_bank: bool = False
) -> dict[str, Any] | None:
    """Draw the choice in `row`; the request's corruption, or None while its text is still to be written.

    Over a bank a text, which belongs to one question, is not offered.
    """
    chosen = selection.chosen
    offered = [kind for kind in CORRUPTIONS if not (over_bank and kind == "text")]
    corruption = chosen.corruption if chosen.corruption in offered else offered[0]
    row.selectbox(
        "Corrupted prompt",
        offered,
        format_func=CORRUPTIONS.__getitem__,
        width=290,
        **bound("corruption", corruption),
    )
    if corruption == "text":
        st.text_area(
            "The whole corrupted prompt, as many tokens as the clean one",
            placeholder="Copy the prompt of the Question page and change some words.",
            **bound("corrupted", chosen.corrupted),
        )
        return {"kind": "text", "prompt": chosen.corrupted} if chosen.corrupted else None
    if corruption == "question":
        return {"kind": "question", "bank": selection.bank.name}
    return {"kind": corruption}


def choose_metric(row: DeltaGenerator, selection: Selection, *, over_bank: bool = False) -> dict[str, str]:
    """Draw the choice in `row`; the request's metric, of the right letter where one is right.

    Over a bank each question has its own right letter, so none is named and none can be the other one.
    """
    chosen = selection.chosen
    offered = [kind for kind in METRICS if not (over_bank and kind == "logit_difference")]
    metric = chosen.metric if chosen.metric in offered else offered[0]
    row.selectbox(
        "Measured by", offered, format_func=METRICS.__getitem__, width=290, **bound("metric", metric)
    )
    if over_bank or metric == "kl":
        return {"kind": metric}
    target = selection.right or selection.labels[0]
    if metric != "logit_difference":
        return {"kind": metric, "label": target}
    others = [label for label in selection.labels if label != target]
    other = chosen.other if chosen.other in others else others[0]
    row.selectbox("Other letter", others, width=120, **bound("other", other))
    return {"kind": metric, "label": target, "other": other}
