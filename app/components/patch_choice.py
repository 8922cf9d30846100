"""Controls that all patching pages share: the two runs, and the metric that compares them."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.selection import Selection
from app.state import bound
from backend.contract.corruptions import CORRUPTIONS
from backend.contract.kinds import BankName, Text
from backend.contract.metrics import METRICS


def choose_corruption(
    row: DeltaGenerator, selection: Selection, *, over_bank: bool = False
) -> dict[str, Any] | None:
    """Draw the choice in `row`. Return the request's corruption, or None until its text is written.

    Over a bank, a text is not offered, because it belongs to one question.
    """
    chosen = selection.chosen
    offered = [name for name, one in CORRUPTIONS.items() if not (over_bank and one.one_question_only)]
    corruption = chosen.corruption if chosen.corruption in offered else offered[0]
    row.selectbox(
        "Corrupted prompt",
        offered,
        format_func=lambda name: CORRUPTIONS[name].title,
        width=290,
        **bound("corruption", corruption),
    )
    given: dict[str, Any] = {"kind": corruption}
    for field in CORRUPTIONS[corruption].fields:
        if isinstance(field.kind, BankName):
            given[field.name] = selection.bank.name
        if isinstance(field.kind, Text):
            st.text_area(
                "The whole corrupted prompt, as many tokens as the clean one",
                placeholder="Copy the prompt of the Question page and change some words.",
                **bound("corrupted", chosen.corrupted),
            )
            given[field.name] = chosen.corrupted
    return given if all(given.values()) else None


def choose_metric(row: DeltaGenerator, selection: Selection, *, over_bank: bool = False) -> dict[str, str]:
    """Draw the choice in `row`. Return the request's metric, for the right letter if it is known.

    Over a bank each question has its own right letter. No letter is named then, and no second letter is chosen.
    """
    chosen = selection.chosen
    offered = [name for name, one in METRICS.items() if not (over_bank and one.one_question_only)]
    metric = chosen.metric if chosen.metric in offered else offered[0]
    row.selectbox(
        "Measured by",
        offered,
        format_func=lambda name: METRICS[name].title,
        width=290,
        **bound("metric", metric),
    )
    labels = () if over_bank else METRICS[metric].labels
    given = {"kind": metric}
    target = selection.right or selection.labels[0]
    if "label" in labels:
        given["label"] = target
    if "other" in labels:
        others = [label for label in selection.labels if label != target]
        other = chosen.other if chosen.other in others else others[0]
        row.selectbox("Other letter", others, width=120, **bound("other", other))
        given["other"] = other
    return given
