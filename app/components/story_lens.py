"""Story, second section: from which layer on the letter said leads."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.components.heatmap import Heatmap, show_heatmap
from app.components.job import result_of
from app.components.notice import quiet
from app.components.story_parts import Answer, Parts, how_sure, page_link, tell
from app.components.tokens import token_name
from app.figures.layers import lens_lines
from app.figures.lens_grids import shown_from
from app.navigation import PATCH_LENS_PAGE, QUESTION_PAGE
from app.state import bound
from backend.contract.client import Client
from backend.contract.result import Result


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


def everywhere(result: Result, place: int) -> Heatmap:
    """The lead of one letter over the best of the others, by layer and token, from the stem on."""
    first = shown_from(result.scalars["roles"], "stem")
    labels = result["label_logits"][:, first:]
    lead = labels[..., place] - np.delete(labels, place, axis=-1).max(-1)
    end = max(float(np.abs(lead[:, -1]).max()), 1e-6)
    said = result.scalars["labels"][place]
    return Heatmap(
        title=f"The lens at each token: the lead of {said} over the next letter",
        unit="logits",
        values=np.asarray(lead, np.float32),
        rows=result.ticks["depth"],
        columns=[token_name(token) for token in result.scalars["tokens"][first:]],
        row_axis="after layer",
        column_axis="token",
        range=(-end, end),
        diverging=True,
        roles=result.scalars["roles"][first:],
    )


def show_everywhere(client: Client, answer: Answer) -> Result | None:
    """Draw the switch and, if it is on, the lens at all tokens. Returns its result."""
    on = answer.selection.chosen.everywhere
    st.toggle("At all tokens", **bound("everywhere", on))
    if not on:
        return None
    start = answer.start("Read all tokens", passes=1)
    result = result_of(client, answer.selection.ask("lens"), "lens", start=start)
    if result is not None:
        show_heatmap(everywhere(result, answer.place), "lens everywhere")
        quiet(
            f"Orange: the lens reads {answer.said} there; blue: another letter. Colour is full at the largest lead "
            "at the last token. At tokens before the last the model need not answer yet.",
            "lens everywhere",
        )
        page_link(
            PATCH_LENS_PAGE, "Put a piece of another prompt's run in", ":material/compare:", answer.address()
        )
    return result


def show_lens(client: Client, answer: Answer) -> str:
    """Draw the logit lens. Returns its sentence."""
    result, labels = answer.prediction, answer.selection.labels
    told = tell(lens_parts(result["lens"], answer.place, answer.said), "lens")
    st.plotly_chart(lens_lines(result["lens"], labels, answer.selection.right), key="lens", alt="Logit lens")
    st.caption(
        "Each line is a letter: its score if the model stopped after that layer. From the layer on where one line "
        "leaves the others, the lens reads that letter."
    )
    read = show_everywhere(client, answer)
    page_link(QUESTION_PAGE, "The same lens under the prompt", ":material/contact_support:", answer.address())
    how_sure(
        "lens",
        [result, *([read] if read else [])],
        "The lens is a reading, not what the model does: middle layers never have to speak in letters. After the last "
        "layer it gives the model's own logits; the check is the largest difference between the two.",
    )
    return told
