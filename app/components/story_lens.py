"""Story, second section: from which layer on the letter said leads."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.components.story_parts import Answer, Parts, how_sure, page_link, tell
from app.figures.layers import lens_lines
from app.navigation import QUESTION_PAGE


def leads_from(lens: NDArray[np.float32], place: int) -> int | None:
    """The first layer after which `lens[layer, label]` is largest for this label, there and in all later layers.

    None where another letter leads after the last layer.

    >>> leads_from(np.float32([[2, 1], [1, 2], [0, 3]]), 1)
    1
    """
    elsewhere = np.flatnonzero(lens.argmax(axis=-1) != place)
    first = int(elsewhere[-1]) + 1 if len(elsewhere) else 0
    return first if first < len(lens) else None


def lens_parts(lens: NDArray[np.float32], place: int, said: str) -> Parts:
    """The layer from which on the letter said leads, among how many, and its lead at the end."""
    layer, last = leads_from(lens, place), len(lens) - 1
    lead = float(lens[-1, place] - np.delete(lens[-1], place).max())
    if layer is None:
        return (
            "After the last layer another letter leads in the lens: it does not tell when ",
            said,
            " wins.",
        )
    end = f" At the end, after layer {last}, it is {lead:.2f} logits ahead of the next letter."
    if layer == 0:
        return (
            "",
            said,
            f" leads after every layer, from layer 0 on, so the lens does not show a moment of decision.{end}",
        )
    if layer == last:
        return (
            "",
            said,
            f" leads only after the last layer, layer {last}: {lead:.2f} logits ahead of the next letter.",
        )
    return (f"From layer {layer} on, ", said, f" leads, and no later layer changes that.{end}")


def show_lens(answer: Answer) -> str:
    """Draw the logit lens. Returns its sentence."""
    result, labels = answer.prediction, answer.selection.labels
    told = tell(lens_parts(result["lens"], answer.place, answer.said), "lens")
    st.plotly_chart(lens_lines(result["lens"], labels, answer.selection.right), key="lens", alt="Logit lens")
    st.caption(
        "Each line is a letter: its score if the model stopped after that layer. From the layer on where one line "
        "leaves the others, the lens reads that letter."
    )
    page_link(QUESTION_PAGE, "The same lens under the prompt", ":material/contact_support:", answer.address())
    how_sure(
        "lens",
        [result],
        "The lens is a reading, not what the model does: middle layers never have to speak in letters. After the last "
        "layer it gives the model's own logits; the check is the largest difference between the two.",
    )
    return told
