"""One head over a bank, on its own page: what it seems to do, and the evidence."""

import pandas as pd
import streamlit as st

from app.components.atlas_choice import atlas_request
from app.components.cost import result_at_price
from app.components.notice import quiet, sentence
from app.components.provenance import show_provenance
from app.components.take_away import show_figure
from app.figures.atlas import halves_of, verdicts_of
from app.figures.head_bank import kind_bars, letter_bars
from app.figures.head_told import elsewhere_told, head_told
from app.selection import Selection
from app.thresholds import parsed
from backend.contract.client import Client
from backend.contract.head import HeadRef
from backend.contract.result import Result
from backend.results.head_classes import Thresholds
from backend.results.head_evidence import Comparison, evidence


def show_over_bank(client: Client, selection: Selection, head: HeadRef) -> None:
    """Draw the head's figures over the chosen bank; what takes minutes waits for a click."""
    st.subheader(f"Over the bank {selection.bank.title}")
    result = result_at_price(client, atlas_request(selection), "head atlas", "Read every head over this bank")
    if result is None:
        return
    thresholds = parsed(selection.chosen.thresholds)
    verdicts = verdicts_of(result, "all", thresholds)
    sentence(head_told(result, head, verdicts), key="head told")
    if result.scalars["at_chance"]:
        quiet(
            "The model answers these questions at chance: what a head writes does not carry the answer.",
            "head chance",
        )
    quiet(elsewhere_told(result, head), "elsewhere")
    left, right = st.columns(2, gap="large")
    with left:
        show_figure(
            kind_bars(result, head), result, key="kinds", alt="Bars of the attention by kind of token"
        )
    with right:
        show_figure(
            letter_bars(result, head), result, key="by letter", alt="Bars of the net effect on each letter"
        )
    st.caption("Lines on the bars are 95 % intervals over the questions.")
    show_evidence(result, head, thresholds)
    show_provenance(result)


def show_evidence(result: Result, head: HeadRef, thresholds: Thresholds) -> None:
    with st.expander("The tests of each class, with this head's figures"):
        found = evidence(
            *halves_of(result, "all"), result.scalars["options"], thresholds, (head.layer, head.head)
        )
        st.dataframe(table_of(found, result.ticks["label"]), hide_index=True, alt="Tests of the classes")
        st.caption(
            "A class holds where all its tests hold in both halves of the questions. A mediator has the last two "
            "figures of a content gatherer, of either sign, without the first, and with no other class."
        )


def table_of(found: list[Comparison], labels: tuple[str, ...]) -> pd.DataFrame:
    """A row for each test."""
    return pd.DataFrame(
        {
            "class": [one.name for one in found],
            "figure": [
                one.figure if one.letter is None else f"{one.figure} ({labels[one.letter]})" for one in found
            ],
            "first half": [round(one.first, 3) for one in found],
            "second half": [round(one.second, 3) for one in found],
            "threshold": [f"{one.sign} {one.threshold:g}" for one in found],
            "holds": ["yes" if one.holds else "no" for one in found],
        }
    )
