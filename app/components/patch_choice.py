"""Controls that all patching pages share: the two runs, and the metric that compares them."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.job import result_of
from app.components.notice import quiet
from app.corruption import (
    Corruptions,
    ask_corruptions,
    corruption_params,
    corruptions_of,
    corruptions_over_bank,
)
from app.letter import Letter
from app.selection import Selection
from app.state import bound
from backend.contract.client import Client
from backend.contract.corruptions import CORRUPTIONS
from backend.contract.kinds import Text
from backend.contract.metrics import METRICS


def possible_corruptions(client: Client, selection: Selection, letter: Letter | None) -> Corruptions | None:
    """Those of the question, or without a letter those over a bank; None while it is not known."""
    if letter is None:
        return corruptions_over_bank()
    possible = result_of(client, ask_corruptions(selection, letter), "corruptions")
    return None if possible is None else corruptions_of(possible)


def choose_corruption(
    row: DeltaGenerator, selection: Selection, letter: Letter | None, corruptions: Corruptions
) -> dict[str, Any] | None:
    """Draw the choice in `row`. Return the request's corruption, or None until its text is written.

    Where the question cannot have the one that is chosen, a line says why, and names the one that is taken.
    """
    wanted = selection.chosen.corruption
    kind = corruptions.taken(wanted)
    row.selectbox(
        "Corrupted prompt",
        corruptions.offered,
        format_func=lambda name: corruption_title(name, letter),
        width=290,
        **bound("corruption", kind),
    )
    if any(isinstance(field.kind, Text) for field in CORRUPTIONS[kind].fields):
        st.text_area(
            "The whole corrupted prompt, as many tokens as the clean one",
            placeholder="Copy the prompt of the Question page and change some words.",
            **bound("corrupted", selection.chosen.corrupted),
        )
    if wanted in corruptions.refused:
        quiet(f"{corruptions.refused[wanted]} Taken instead: {corruption_title(kind, letter)}.", "corruption")
    given = corruption_params(kind, selection, letter, selection.chosen.corrupted)
    return given if all(given.values()) else None


def corruption_title(kind: str, letter: Letter | None) -> str:
    title = CORRUPTIONS[kind].title
    return title if letter is None else letter.worded(title)


def choose_metric(row: DeltaGenerator, selection: Selection, letter: Letter | None) -> dict[str, str]:
    """Draw the choice in `row`. Return the request's metric of the letter.

    Over a bank, `letter` None, each question has its own right letter. None is named then, nor a second one chosen.
    """
    chosen = selection.chosen
    offered = [name for name, one in METRICS.items() if letter is not None or not one.one_question_only]
    metric = chosen.metric if chosen.metric in offered else offered[0]
    row.selectbox(
        "Measured by",
        offered,
        format_func=lambda name: metric_title(name, letter),
        width=290,
        **bound("metric", metric),
    )
    given = {"kind": metric}
    if letter is None:
        return given
    if "label" in METRICS[metric].labels:
        given["label"] = letter.label
    if "other" in METRICS[metric].labels:
        others = [label for label in selection.labels if label != letter.label]
        other = chosen.other if chosen.other in others else others[0]
        row.selectbox("Other letter", others, width=120, **bound("other", other))
        given["other"] = other
    return given


def metric_title(kind: str, letter: Letter | None) -> str:
    title = METRICS[kind].title
    return title if letter is None else letter.worded(title)
