"""Story, third section: the heads and MLPs whose writing adds up to the margin of the letter said."""

import numpy as np
import streamlit as st

from app.components.notice import warning_box
from app.components.story_parts import Answer, Parts, how_sure, page_link, tell
from app.figures.net import strongest_head
from app.figures.waterfall import Margin, waterfall
from app.navigation import ATTRIBUTION_PAGE
from backend.contract.head import HeadRef
from backend.contract.result import Result

ALONE = 0.8
"""The share of the margin from which on one head is said to write it alone, if nothing else writes half as much."""
TIED = 0.1
"""A margin below so many logits is called a tie."""


def writes_parts(margin: Margin, said: str) -> Parts:
    """Which head and which MLP write most for the letter, and whether one head does it alone."""
    layer, head = strongest_head(margin.heads)
    name, most = str(HeadRef(layer, head)), float(margin.heads[layer, head])
    block = int(np.argmax(margin.mlps))
    if margin.sum < TIED:
        return (
            "The letters are nearly tied: ",
            said,
            f" is {margin.sum:.2f} logits above the mean of the others.",
        )
    others = np.concatenate([np.delete(margin.heads, layer * margin.heads.shape[1] + head), margin.mlps])
    largest = max(float(np.abs(others).max()), abs(margin.embedding), abs(margin.bias))
    if most >= ALONE * margin.sum and largest <= most / 2:
        return (
            "One head does nearly all of it: ",
            name,
            f" writes {most:+.2f} logits for {said}, of a margin of {margin.sum:.2f}.",
        )
    return (
        "No head does it alone: ",
        name,
        f" writes most of all heads ({most:+.2f} logits for {said}), MLP {block} most of all MLPs "
        f"({float(margin.mlps[block]):+.2f}). All parts together make the margin of {margin.sum:.2f}.",
    )


def _adds_up(margin: Margin, attribution: Result) -> bool:
    """Whether the parts give the model's own margin, to twice the limit that holds for one letter."""
    _, limit = attribution.checks["identity_error"]
    return bool(attribution.scalars["before_cap"]) or abs(margin.sum - margin.own) <= 2 * limit


def show_writes(answer: Answer, attribution: Result) -> str | None:
    """Draw the waterfall. Returns its sentence."""
    margin = Margin.of(attribution, answer.prediction["label_logits"], answer.place)
    if not _adds_up(margin, attribution):
        warning_box(
            [
                f"Nothing is told here: the parts add up to {margin.sum:+.4f} logits, but the model's own margin is "
                f"{margin.own:+.4f}."
            ],
            "writes sum",
        )
        return None
    told = tell(writes_parts(margin, answer.said), "writes")
    st.plotly_chart(waterfall(margin, answer.said), key="writes", alt="Waterfall from zero to the margin")
    st.caption(
        f"The margin is the logit of {answer.said} minus the mean of the other letters' logits. Orange writes for "
        f"{answer.said}, blue writes against it. The bars add up to the model's own margin."
    )
    page_link(
        ATTRIBUTION_PAGE,
        "Every head and MLP",
        ":material/grid_on:",
        answer.address(scope="question", letter=""),
    )
    capped = attribution.scalars["before_cap"]
    cap = " This model caps or scales its logits at the end; the bars are before that step." if capped else ""
    how_sure(
        "writes",
        [attribution],
        f"The bars add up to {margin.sum:+.4f} logits; the model's own margin is {margin.own:+.4f}.{cap}",
        "This counts what each part writes itself, directly to the output. What it does through others is theirs here.",
    )
    return told
