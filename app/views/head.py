"""One head: what it writes for each letter, from which tokens, and where it looks."""

import numpy as np
import streamlit as st

from app.components.frame import open_page, show_question
from app.components.head_atlas import show_over_bank
from app.components.head_choice import (
    choose_head,
    choose_reading,
    head_in_hand,
    paths_link,
    subspace_link,
    target_of,
)
from app.components.heatmap import Heatmap, show_heatmap
from app.components.job import result_of
from app.components.letter_choice import show_letter
from app.components.notice import quiet
from app.components.provenance import show_provenance
from app.components.take_away import show_figure
from app.components.tokens import token_name, tokens_by_value
from app.figures.labels import written_bars
from app.figures.net import net_effect
from app.selection import Selection
from backend.contract.head import HeadRef
from backend.contract.result import Result

# A pattern larger than this is shown for its last tokens only: cells would be too small to point at.
MOST_TOKENS = 300


def show_written(result: Result, head: HeadRef, selection: Selection) -> None:
    written = result["heads"][head.layer, head.head]
    left, right = st.columns(2, gap="large")
    with left:
        figure = written_bars(
            written, selection.labels, selection.right, f"What {head} writes for each letter"
        )
        show_figure(figure, result, key="written", alt="Bars of the logits written for each letter")
        st.caption(
            "Logits, minus their mean over the vocabulary. Above zero, the head writes for the letter."
        )
    with right:
        letter = target_of(result, selection)
        place = selection.labels.index(letter.label)
        tokens_by_value(
            f"From which tokens: net effect on {letter.name}, {net_effect(written, place):+.2f} logits in all",
            result.scalars,
            net_effect(result["source"], place),
            "logits",
            "sources",
            diverging=True,
            of=result,
        )
        st.caption(
            "Orange: what the head reads there writes for the letter. Blue: against it. All tokens sum to the number "
            "in the title."
        )


def show_looking(result: Result, head: HeadRef, selection: Selection) -> None:
    choose_reading(selection)
    plain = selection.chosen.reading == "plain"
    rows = result["final" if plain else "final_value_weighted"]
    tokens_by_value(
        f"Where {head}'s final token looks ({selection.chosen.reading})",
        result.scalars,
        rows[head.layer, head.head],
        "share" if plain else "norm",
        "looks",
        diverging=False,
        of=result,
    )
    st.caption(
        "The stronger the colour, the more attention. Plain attention sums to 1, value-weighted does not."
    )


def show_pattern(result: Result, head: HeadRef) -> None:
    roles = result.scalars["roles"]
    whole = st.toggle(
        "All tokens", key="whole pattern", help="Otherwise only those from the first option on."
    )
    first = 0 if whole else next((at for at, role in enumerate(roles) if role.startswith("label")), 0)
    first = max(first, len(roles) - MOST_TOKENS)
    tokens = [token_name(token) for token in result.scalars["tokens"]][first:]
    pattern = result["pattern"][first:, first:]
    above = np.triu(np.ones(pattern.shape, bool), 1)
    heatmap = Heatmap(
        title=f"{head}'s attention pattern" + ("" if first == 0 else ", from the first option on"),
        unit="share",
        values=np.where(above, np.float32(np.nan), pattern).astype(np.float32),
        rows=tokens,
        columns=tokens,
        row_axis="from token",
        column_axis="to token",
        range=(0.0, 1.0),
        square=True,
        root=True,
    )
    show_heatmap(heatmap, "pattern", of=result)
    st.caption(
        "Each row is a token: how much it attends to itself and to the tokens before it; over all tokens a row sums to "
        "1. Colours follow the square root, so that small shares are seen. The model answers after the last token."
    )
    if whole and len(tokens) < len(roles):
        quiet(f"Only the last {MOST_TOKENS} of {len(result.scalars['tokens'])} tokens are shown.", "cut")


client, selection = open_page(
    "One head",
    "What one head writes for each letter, from which tokens it takes that, and where it looks; and what it seems to "
    "do over many questions.",
    guide="head",
)
show_question(selection)
overview = result_of(client, selection.ask("attribution"), "attribution")
if overview:
    show_letter(target_of(overview, selection), selection)
    head = head_in_hand(overview, selection)
    choose_head(head, overview["heads"].shape)
    st.header(str(head))
    with st.container(horizontal=True):
        paths_link(head)
        subspace_link(head)
    params = {"head": [head.layer, head.head]}
    written = result_of(client, selection.ask("attribution", **params), "head attribution")
    if written:
        show_written(written, head, selection)
        show_provenance(written)
    looking = result_of(client, selection.ask("attention", **params), "head attention")
    if looking:
        show_looking(looking, head, selection)
        show_pattern(looking, head)
        show_provenance(looking)
    show_over_bank(client, selection, head)
