"""Which nodes act by what they write themselves, and which through others."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app.components.cost import result_at_price
from app.components.frame import open_page, show_question
from app.components.letter_choice import choose_letter
from app.components.next_page import end_page
from app.components.node_table import node_table, open_node
from app.components.notice import quiet, sentence
from app.components.patch_choice import (
    choose_corruption,
    choose_metric,
    metric_title,
    possible_corruptions,
)
from app.components.provenance import show_provenance, show_unchecked
from app.components.scope import choose_scope
from app.components.take_away import show_figure
from app.components.two_runs import show_runs, which_side_helps
from app.corruption import Corruptions
from app.figures.effects import (
    EFFECTS,
    effects_frame,
    effects_scatter,
    strongest_nodes,
    two_digits,
    with_room,
    writer_and_helper,
)
from app.figures.net import Node
from app.figures.scale import Scale
from app.letter import Letter
from app.selection import Selection
from app.state import bound
from backend.contract.choices import NORMS
from backend.contract.request import Request
from backend.contract.result import Result

TOP = 20
NAMED = 10


def controls(selection: Selection, letter: Letter | None, corruptions: Corruptions) -> Request | None:
    """Draw the controls. Returns the request, or None while the corrupted prompt is not written yet.

    Over a bank there is no letter: each question has its own.
    """
    second = st.container(horizontal=True, vertical_alignment="bottom")
    corruption = choose_corruption(second, selection, letter, corruptions)
    metric = choose_metric(second, selection, letter)
    second.segmented_control(
        "Final norm",
        NORMS,
        format_func=NORMS.__getitem__,
        required=True,
        help="A changed write also changes the scale of the final norm. Frozen keeps the scale of the clean run.",
        **bound("norm", selection.chosen.norm),
    )
    if corruption is None:
        return None
    params: dict[str, Any] = {"corruption": corruption, "metric": metric}
    ask = selection.ask_bank if letter is None else selection.ask
    return ask("effects", **params)


def show_strongest(frame: pd.DataFrame, unit: str, scale: Scale) -> None:
    writer, helper = writer_and_helper(frame)
    told = frame.map(two_digits)
    (node,) = strongest_nodes(frame, 1)
    if not scale.stands_out(float(frame.loc[node, list(EFFECTS)].abs().max())):
        sentence(
            "No node stands out. The one with the largest effects is ",
            node,
            f": total {told.loc[node, 'total']}, direct {told.loc[node, 'direct']} "
            f"of the {scale.reference:+.3g} {unit} between both runs.",
            key="lead",
            lead=True,
        )
        return
    sentence(
        "Of all heads ",
        writer,
        f" has the largest direct effect, {told.loc[writer, 'direct']} {unit} (total {told.loc[writer, 'total']}); ",
        helper,
        f" acts most through others, {told.loc[helper, 'indirect']} {unit} (total {told.loc[helper, 'total']}).",
        key="lead",
        lead=True,
    )


def show_scatter(result: Result, frame: pd.DataFrame, unit: str, title: str, scale: Scale) -> None:
    first = dict.fromkeys([*writer_and_helper(frame), *strongest_nodes(frame, TOP)])
    named = dict(list(with_room(frame, list(first), scale).items())[:NAMED])

    def picked() -> None:
        for point in st.session_state["effects"]["selection"]["points"]:
            open_node(Node.named(point["text"], point["y"]))

    show_figure(
        effects_scatter(frame, unit, title, named, scale),
        result,
        key="effects",
        on_select=picked,
        selection_mode="points",
        alt="Scatter of the nodes' total effects against their direct effects",
    )


def columns_of(frame: pd.DataFrame, names: list[str]) -> Mapping[str, list[float] | list[str]]:
    """The table's columns: the effects of these nodes, and over a bank their 95 % intervals."""
    chosen = frame.loc[names]
    columns: dict[str, list[float] | list[str]] = {}
    for effect in EFFECTS:
        columns[effect] = list(chosen[effect])
        if f"{effect}_low" in chosen:
            ends = zip(chosen[f"{effect}_low"], chosen[f"{effect}_high"], strict=True)
            columns[f"{effect}, 95 %"] = [
                "none" if math.isnan(low) else f"{low:+.3f} to {high:+.3f}" for low, high in ends
            ]
    return columns


def show_table(frame: pd.DataFrame, unit: str) -> None:
    names = strongest_nodes(frame, TOP)
    st.markdown(f"**The {len(names)} nodes with the largest effects, in {unit}**")
    node_table(
        [Node.named(name, float(frame.loc[name, "total"])) for name in names],
        columns_of(frame, names),
        "nodes",
    )


def show_effects(result: Result, norm: str, letter: Letter | None) -> None:
    frame, unit = effects_frame(result, norm), result.arrays["heads_total"].unit
    scale = Scale.of_runs(result)
    show_strongest(frame, unit, scale)
    show_runs(result, unit)
    show_scatter(
        result,
        frame,
        unit,
        f"{metric_title(result.scalars['metric'], letter)}: total and direct effect of each node",
        scale,
    )
    crosses = "The lines through named nodes are 95 % intervals. " if "total_low" in frame else ""
    st.caption(
        "On the dashed line a node acts only by what it writes itself. Near the vertical axis it acts through "
        "others. Near the horizontal axis, later nodes make up for what it wrote. "
        f"{which_side_helps(result.scalars['metric'])} {crosses}Click a head to open it."
    )
    show_table(frame, unit)


client, selection = open_page(
    "Which heads act through others?",
    "The output of a head or MLP at the final token is taken from the corrupted run. **Total effect**: what the "
    "answer then loses. **Direct effect**: what it loses if only the node's own write to the output changes, and all "
    "later nodes stay as they were. **Indirect effect**: what it loses if everything but that write changes. "
    "**Interaction**: total − direct − indirect.",
    guide="effects",
)
if selection.chosen.scope == "question":
    show_question(selection)
over_bank = choose_scope(client, selection, st.container(horizontal=True, vertical_alignment="bottom"))
letter = None if over_bank else choose_letter(client, selection)
if letter is None and not over_bank:
    st.stop()
corruptions = possible_corruptions(client, selection, letter)
if corruptions is None:
    st.stop()
request = controls(selection, letter, corruptions)
if request is None:
    quiet("Write the corrupted prompt to begin.", "empty")
    end_page("Effects")


def draw(known: Result | None, whole: bool) -> None:
    if known:
        show_effects(known, selection.chosen.norm, letter)
        show_unchecked(whole)


result = result_at_price(client, request, "effects", "Compute the effects", draw)
if result:
    show_provenance(result)
