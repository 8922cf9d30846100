"""Who feeds a node, and whom it feeds: path patching, one way at a time."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.components.cost import result_at_price
from app.components.frame import open_page, show_question
from app.components.head_choice import head_link
from app.components.heatmap import head_grid, show_heatmap
from app.components.job import result_of
from app.components.letter_choice import choose_letter
from app.components.next_page import end_page
from app.components.node_choice import choose_node, choose_way, walk
from app.components.node_table import node_table
from app.components.notice import quiet, sentence
from app.components.patch_choice import choose_corruption, choose_metric, possible_corruptions
from app.components.provenance import show_provenance, show_unchecked
from app.components.take_away import checked, show_figure
from app.components.two_runs import show_runs, which_side_helps
from app.corruption import Corruptions
from app.figures.net import Node
from app.figures.paths import path_bars, paths_frame, strongest_paths
from app.figures.scale import Scale
from app.letter import Letter
from app.selection import Selection
from app.state import change
from backend.contract.head import HeadRef
from backend.contract.result import Result

TOP = 20
INTO_HEADS = {"query": "heads' queries", "key": "heads' keys", "value": "heads' values"}
# How the lead sentence begins, and how it goes on for each input.
LEADS = {
    "receiver": {
        "": "is fed most ",
        "query": "in its query by ",
        "key": "in its key by ",
        "value": "in its value by ",
        "mlp": "by ",
    },
    "sender": {
        "": "matters most ",
        "query": "to the query of ",
        "key": "to the key of ",
        "value": "to the value of ",
        "mlp": "to ",
    },
}


def controls(selection: Selection, letter: Letter, corruptions: Corruptions) -> dict[str, Any] | None:
    """Draw the controls. Returns the params without the node, or None while the corrupted prompt is not written yet."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    corruption = choose_corruption(row, selection, letter, corruptions)
    metric = choose_metric(row, selection, letter)
    choose_way(selection)
    return None if corruption is None else {"corruption": corruption, "metric": metric}


@dataclass(frozen=True)
class Paths:
    """What is drawn: the paths into the node of this name, or out of it if it `sends`."""

    name: str
    sends: bool
    unit: str
    frame: pd.DataFrame
    scale: Scale


def show_strongest(paths: Paths) -> None:
    """Say which path carries most into each input, the strongest first; or that none carries much."""
    (strongest, at), *_ = strongest_paths(paths.frame, 1)
    if not paths.scale.stands_out(strongest.value):
        ends = (paths.name, strongest.name) if paths.sends else (strongest.name, paths.name)
        way = f"from {ends[0]} into {ends[1]}" + ("" if at == "mlp" else f"'s {at}")
        between = f"{paths.scale.reference:+.3g} {paths.unit} between both runs"
        sentence(
            f"No path stands out. The largest, {way}, carries {strongest.value:+.2g} of the {between}.",
            key="strongest path",
            lead=True,
        )
        return
    ways = LEADS["sender" if paths.sends else "receiver"]
    sizes = paths.frame.dropna(axis="columns", how="all").abs()
    parts, text = [], f"{paths.name} {ways['']}"
    for at in sizes.max().sort_values(ascending=False).index:
        name = sizes[at].idxmax()
        parts += [text + ways[at], name]
        text = f" ({paths.frame.loc[name, at]:+.2g} {paths.unit}), "
    sentence(*parts, text.removesuffix(", ") + ".", key="strongest path", lead=True)


def show_heads(result: Result, paths: Paths) -> None:
    """Draw a heatmap for each input, side by side if there is room, all on one scale.

    Only layers from the head's own on are drawn, or up to it: of a late sender most layers would be hatched.
    """
    way = "after" if paths.sends else "before"
    possible = np.flatnonzero(np.isfinite(result["heads"]).any(axis=(0, 2)))
    if not possible.size:
        quiet(f"No head comes {way} {paths.name}.", "no heads")
        return
    node = Node.named(paths.name, 0.0)
    own = [] if node.layer is None or node.head is None else [(node.layer, node.head)]
    layers = [*possible, *(layer for layer, _ in own)]
    first, last = int(min(layers)), int(max(layers))
    largest = paths.scale.end(result["heads"])
    inputs = result.ticks["input"]
    for place, column in enumerate(st.columns(len(inputs), gap="medium")):
        at, values = inputs[place], result["heads"][place, first : last + 1]
        receiver = paths.name if at == "mlp" else f"{paths.name}'s {at}"
        title = f"{paths.name} into {INTO_HEADS[at]}" if paths.sends else f"Heads into {receiver}"
        marked = [(layer - first, head) for layer, head in own]
        grid = head_grid(title, paths.unit, np.nan_to_num(values), diverging=True, marked=marked)
        with column:
            show_heatmap(
                replace(
                    grid,
                    values=values,
                    rows=[str(layer) for layer in range(first, last + 1)],
                    range=(-largest, largest),
                    missing=f"not {way} {paths.name}",
                ),
                f"paths {at}",
                on_pick=lambda row, head: change(node="head", head=HeadRef(first + row, head)),
                of=checked(result),
            )
            if not paths.sends:
                st.caption(f"All of {receiver} at once: {result['whole'][place]:+.2g} {paths.unit}.")
    hatched = f" {paths.name} is framed; hatched heads do not come {way} it." if own else ""
    st.caption(
        f"Each cell is a head, of the layers that come {way} {paths.name}.{hatched} Click one to go on from there."
    )


def show_others(result: Result, paths: Paths) -> None:
    title = f"{paths.name} into MLPs" if paths.sends else f"MLPs and the embedding into {paths.name}"
    bars = path_bars(paths.frame, paths.unit, title, paths.scale)
    show_figure(bars, result, key="path bars", alt=f"Bars: {title}")
    if not paths.sends and "query" in paths.frame:
        st.caption("At each layer from left to right: query, key, value.")


def show_table(paths: Paths) -> None:
    """Draw the strongest paths as a table, by which the keyboard walks along them."""
    strongest = strongest_paths(paths.frame, TOP)
    nodes, inputs = [node for node, _ in strongest], [at for _, at in strongest]
    st.markdown(f"**The {len(nodes)} strongest paths {'from' if paths.sends else 'into'} {paths.name}**")
    node_table(
        nodes,
        {"input": inputs, paths.unit: [node.value for node in nodes]},
        f"paths of {paths.name}",
        walk,
    )


def show_paths(result: Result) -> None:
    paths = Paths(
        name=result.scalars["node"],
        sends=result.scalars["mode"] == "sender",
        unit=result.arrays["heads"].unit,
        frame=paths_frame(result),
        scale=Scale.of_runs(result),
    )
    if paths.frame.isna().all(axis=None):
        quiet(f"Only the output itself reads what {paths.name} writes.", "nothing")
        return
    show_strongest(paths)
    show_runs(result, paths.unit)
    st.caption(
        "How much the metric falls when this path alone carries what it carries in the corrupted run. "
        + which_side_helps(result.scalars["metric"])
    )
    show_heads(result, paths)
    left, right = st.columns([3, 2], gap="large")
    with left:
        show_others(result, paths)
    with right:
        show_table(paths)


client, selection = open_page(
    "Who feeds whom?",
    "Path patching: what one node writes is taken from the corrupted run, but only one other node sees it: in its "
    "query, its keys or its values for the final token. Everything else stays clean. What the answer then loses went "
    "along that path.",
    guide="paths",
)
show_question(selection)
letter = choose_letter(client, selection)
corruptions = None if letter is None else possible_corruptions(client, selection, letter)
if letter is None or corruptions is None:
    st.stop()
params = controls(selection, letter, corruptions)
if params is None:
    quiet("Write the corrupted prompt to begin.", "empty")
    end_page("Paths")
attribution = result_of(client, selection.ask("attribution"), "attribution")
if attribution:
    node = choose_node(attribution, selection)
    request = selection.ask("paths", **params, **{selection.chosen.mode: node})

    def draw(known: Result | None, whole: bool) -> None:
        if known is None:
            return
        st.header(known.scalars["node"])
        if "head" in node:
            head_link(HeadRef(*node["head"]))
        show_paths(known)
        show_unchecked(whole)

    result = result_at_price(client, request, "paths", "Follow the paths", draw)
    if result:
        show_provenance(result)
