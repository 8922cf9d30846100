"""Nodes as a table: the keyboard's way to a head."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from app.figures.net import Node
from app.navigation import open_head


def open_node(node: Node) -> None:
    """Go to the node's page if it is a head, from a callback."""
    if node.layer is not None and node.head is not None:
        open_head(node.layer, node.head)


def node_table(
    nodes: Sequence[Node],
    columns: Mapping[str, Sequence[float] | Sequence[str]],
    key: str,
    on_pick: Callable[[Node], None] = open_node,
) -> None:
    """A row for each node and a column for each name of `columns`. Selecting a row picks its node."""

    def picked() -> None:
        for row in st.session_state[key]["selection"]["rows"]:
            on_pick(nodes[row])

    table = pd.DataFrame({"node": [node.name for node in nodes], **columns})
    number = st.column_config.NumberColumn(format="%+.3f")
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=picked,
        selection_mode="single-row",
        height=min(420, 36 * (len(nodes) + 1) + 2),
        column_config=dict.fromkeys(table.select_dtypes("number"), number),
        alt="The nodes with the largest values",
    )
