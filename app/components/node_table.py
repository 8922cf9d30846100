"""Nodes as a table, and under it their names, by which pointer and keyboard open them."""

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from app.figures.net import Node
from app.navigation import open_head


def open_node(node: Node) -> None:
    """Go to the node's page if it is a head; for callbacks."""
    if node.layer is not None and node.head is not None:
        open_head(node.layer, node.head)


def node_table(
    nodes: Sequence[Node],
    columns: Mapping[str, Sequence[float] | Sequence[str]],
    key: str,
    on_pick: Callable[[Node], None] = open_node,
) -> None:
    """A row for each node and a column for each name of `columns`. Selecting a row, or a name below, picks its node."""

    def picked() -> None:
        for row in st.session_state[key]["selection"]["rows"]:
            on_pick(nodes[row])

    table = pd.DataFrame({"node": [node.name for node in nodes], **columns})
    numbers = table.select_dtypes("number")
    number = st.column_config.NumberColumn(format=f"%+.{_decimals(numbers.abs().max(axis=None))}f")
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=picked,
        selection_mode="single-row",
        height=420 if len(nodes) > 11 else "content",
        column_config=dict.fromkeys(numbers, number),
        alt="The nodes with the largest values",
    )
    _names(nodes, key, on_pick)


def _names(nodes: Sequence[Node], key: str, on_pick: Callable[[Node], None]) -> None:
    """A button for each node that can be opened, once."""
    named = {node.name: node for node in nodes if on_pick is not open_node or node.head is not None}

    def picked() -> None:
        name = st.session_state[f"open {key}"]
        if name in named:
            on_pick(named[name])

    if named:
        st.pills("Open", list(named), key=f"open {key}", on_change=picked)


def _decimals(largest: float) -> int:
    """Three decimals, or more where all values are small.

    >>> _decimals(1.5), _decimals(0.002)
    (3, 5)
    """
    return 3 if not largest > 0 else max(3, 2 - math.floor(math.log10(largest)))
