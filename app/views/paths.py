"""Who feeds a node, and whom it feeds: path patching, one way at a time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.components.frame import open_page, show_question
from app.components.head_choice import choose_head, head_in_hand, head_link
from app.components.heatmap import head_grid, show_heatmap
from app.components.job import result_of
from app.components.node_table import node_table
from app.components.notice import quiet, sentence, warning_box
from app.components.patch_choice import choose_corruption, choose_metric
from app.components.provenance import show_provenance
from app.components.two_runs import show_runs, which_side_helps
from app.figures.net import Node
from app.figures.paths import path_bars, paths_frame, strongest_paths
from app.patching_names import METRICS, MODES, NODES
from app.selection import Selection
from app.state import bound, change
from backend.results.request import HeadRef
from backend.results.result import Result

TOP = 20
INTO_HEADS = {"query": "heads' queries", "key": "heads' keys", "value": "heads' values"}
# How the lead sentence begins, and how it goes on for each input.
LEADS = {
    "receiver": {"": "is fed most ", "query": "in its query by ", "key": "in its key by ", "mlp": "by "},
    "sender": {"": "matters most ", "query": "to the query of ", "key": "to the key of ", "mlp": "to "},
}


def controls(selection: Selection) -> dict[str, Any] | None:
    """Draw them; the request's params but for the node, or None while the corrupted prompt is to be written."""
    chosen = selection.chosen
    first = st.container(horizontal=True, vertical_alignment="bottom")
    corruption = choose_corruption(first, selection)
    metric = choose_metric(first, selection)
    second = st.container(horizontal=True, vertical_alignment="bottom")
    second.segmented_control(
        "Show", MODES, format_func=MODES.__getitem__, required=True, **bound("mode", chosen.mode)
    )
    offered = [kind for kind in NODES if kind in kinds_of(chosen.mode)]
    node = chosen.node if chosen.node in offered else "head"
    second.segmented_control(
        "Of", offered, format_func=NODES.__getitem__, required=True, **bound("node", node)
    )
    return None if corruption is None else {"corruption": corruption, "metric": metric}


def kinds_of(mode: str) -> tuple[str, ...]:
    """What can receive, or send: nothing feeds the embedding."""
    return ("head", "mlp") if mode == "receiver" else ("head", "mlp", "embedding")


def choose_node(attribution: Result, selection: Selection) -> dict[str, Any]:
    """Which one of its kind; as the request names it."""
    chosen, shape = selection.chosen, attribution["heads"].shape
    if chosen.node == "embedding" and chosen.mode == "sender":
        return {"embedding": True}
    if chosen.node == "mlp":
        return {"mlp": choose_mlp(shape[0], selection)}
    if chosen.node == "embedding":
        warning_box(["Nothing feeds the embedding; a head is shown instead."], "node")
    head = head_in_hand(attribution, selection)
    choose_head(head, shape)
    return {"head": [head.layer, head.head]}


def choose_mlp(layers: int, selection: Selection) -> int:
    layer = selection.chosen.mlp
    if layer >= layers:
        warning_box(
            [f"This model has no MLP {layer}: its layers go from 0 to {layers - 1}. MLP 0 is shown instead."],
            "mlp",
        )
        layer = 0
    st.selectbox("Layer", range(layers), width=110, **bound("mlp", layer))
    return layer


def walk(node: Node) -> None:
    """Go on to the node at the other end of a path, from a callback."""
    if node.layer is not None and node.head is not None:
        change(node="head", head=HeadRef(node.layer, node.head))
    elif node.layer is not None:
        change(node="mlp", mlp=node.layer)


def show_strongest(frame: pd.DataFrame, result: Result, unit: str) -> None:
    """The path that carries most into a query, into a key, and into an MLP, of those there are."""
    node, ways = result.scalars["node"], LEADS[result.scalars["mode"]]
    parts, text = [], f"{node} {ways['']}"
    for at in ("query", "key", "mlp"):
        if at in frame and frame[at].notna().any():
            name = frame[at].abs().idxmax()
            parts += [text + ways[at], name]
            text = f" ({frame.loc[name, at]:+.2f} {unit}), "
    sentence(*parts, text.removesuffix(", ") + ".", key="strongest path", lead=True)


def show_heads(result: Result, unit: str) -> None:
    """A heatmap for each input, beside each other where there is room, all on one scale."""
    name, sends = result.scalars["node"], result.scalars["mode"] == "sender"
    if np.isnan(result["heads"]).all():
        quiet(f"No head comes {'after' if sends else 'before'} {name}.", "no heads")
        return
    largest = float(np.nanmax(np.abs(result["heads"]))) or 1.0
    node = Node.named(name, 0.0)
    marked = [] if node.layer is None or node.head is None else [(node.layer, node.head)]
    inputs = result.ticks["input"]
    for values, at, column in zip(
        result["heads"], inputs, st.columns(len(inputs), gap="medium"), strict=True
    ):
        receiver = name if at == "mlp" else f"{name}'s {at}"
        title = f"{name} into {INTO_HEADS[at]}" if sends else f"Heads into {receiver}"
        grid = head_grid(title, unit, np.nan_to_num(values), diverging=True, marked=marked)
        with column:
            show_heatmap(
                replace(grid, values=values, range=(-largest, largest)),
                f"paths {at}",
                on_pick=lambda layer, head: change(node="head", head=HeadRef(layer, head)),
            )
            if not sends:
                st.caption(f"All of {receiver} at once: {result['whole'][inputs.index(at)]:+.2f} {unit}.")
    st.caption(
        f"Each cell is a head; empty ones do not come {'after' if sends else 'before'} {name}. "
        "Click one to go on from there."
    )


def show_others(frame: pd.DataFrame, result: Result, unit: str) -> None:
    name = result.scalars["node"]
    title = (
        f"{name} into MLPs" if result.scalars["mode"] == "sender" else f"MLPs and the embedding into {name}"
    )
    st.plotly_chart(path_bars(frame, unit, title), key="path bars", alt=f"Bars: {title}")
    st.caption("Group by layer, one bar for each input." if len(frame.columns) > 1 else "One bar a layer.")


def show_table(frame: pd.DataFrame, result: Result, unit: str) -> None:
    """The keyboard's way along the paths."""
    name, sends = result.scalars["node"], result.scalars["mode"] == "sender"
    nodes = []
    for node, at in strongest_paths(frame, TOP):
        way = f"{name} → {node.name}" if sends else f"{node.name} → {name}"
        nodes.append(replace(node, name=way if at == "mlp" else f"{way} {at}"))
    st.markdown(f"**The {len(nodes)} strongest paths**")
    node_table(nodes, {unit: [node.value for node in nodes]}, f"paths of {name}", walk)
    st.caption("Select a row to go on from the node at the other end.")


def show_paths(result: Result) -> None:
    frame, unit = paths_frame(result), result.arrays["heads"].unit
    if frame.isna().all(axis=None):
        quiet(f"Nothing reads what {result.scalars['node']} writes but the output itself.", "nothing")
        return
    show_strongest(frame, result, unit)
    show_runs(result, unit)
    st.caption(
        "How much the metric falls when this path alone carries what it carries in the corrupted run: the effect in "
        f"{unit} of {METRICS[result.scalars['metric']].lower()}. {which_side_helps(result.scalars['metric'])}"
    )
    show_heads(result, unit)
    left, right = st.columns([3, 2], gap="large")
    with left:
        show_others(frame, result, unit)
    with right:
        show_table(frame, result, unit)


client, selection = open_page(
    "Who feeds this head?",
    "Path patching: what one node writes is taken from the corrupted run, but only where one other node reads it: as "
    "its query, its key or its value. Everything else stays clean. What the answer then loses went along that path.",
)
show_question(selection)
params = controls(selection)
if params is None:
    quiet("Write the corrupted prompt to begin.", "empty")
    st.stop()
attribution = result_of(client, selection.ask("attribution"), "attribution")
if attribution:
    node = choose_node(attribution, selection)
    result = result_of(client, selection.ask("paths", **params, **{selection.chosen.mode: node}), "paths")
    if result:
        st.header(result.scalars["node"])
        if "head" in node:
            head_link(HeadRef(*node["head"]))
        show_paths(result)
        show_provenance(result)
