"""Controls for the node of the page Paths: a head, an MLP or the embedding, as receiver or as sender."""

from typing import Any

import streamlit as st

from app.components.head_choice import choose_head, head_in_hand
from app.components.notice import warning_box
from app.figures.net import MODES, NODES, Node
from app.selection import Selection
from app.state import bound, change
from backend.contract.head import HeadRef
from backend.contract.result import Result


def choose_way(selection: Selection) -> None:
    """Draw the choices of direction and of the kind of node. No path leads into the embedding."""
    chosen = selection.chosen
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.segmented_control(
        "Show", MODES, format_func=MODES.__getitem__, required=True, **bound("mode", chosen.mode)
    )
    offered = [kind for kind in NODES if kind != "embedding" or chosen.mode == "sender"]
    kind = chosen.node if chosen.node in offered else "head"
    row.segmented_control("Of", offered, format_func=NODES.__getitem__, required=True, **bound("node", kind))


def choose_node(attribution: Result, selection: Selection) -> dict[str, Any]:
    """Draw the choice of a node of the chosen kind. Return the node as a request names it."""
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
    """Go to the node at the other end of a path; for callbacks."""
    if node.layer is not None and node.head is not None:
        change(node="head", head=HeadRef(node.layer, node.head))
    elif node.layer is not None:
        change(node="mlp", mlp=node.layer)
