"""Nodes as a table: the keyboard's way to a head."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from app.figures.net import Node
from app.navigation import open_head


def node_table(nodes: Sequence[Node], columns: Mapping[str, Sequence[float]], key: str) -> None:
    """A row for each node and a column for each name of `columns`, in logits. Selecting a head opens it."""

    def opened() -> None:
        for row in st.session_state[key]["selection"]["rows"]:
            node = nodes[row]
            if node.layer is not None and node.head is not None:
                open_head(node.layer, node.head)

    table = pd.DataFrame({"node": [node.name for node in nodes], **columns})
    number = st.column_config.NumberColumn(format="%+.3f")
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=opened,
        selection_mode="single-row",
        height=min(420, 36 * (len(nodes) + 1) + 2),
        column_config=dict.fromkeys(columns, number),
        alt="The nodes with the largest values",
    )
