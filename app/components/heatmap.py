"""A heatmap whose cells can be hovered, walked with the arrow keys and clicked; drawn by heatmap.js."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from app.components.roles import TINTS, kind_of
from app.components.take_away import take_away
from app.figures.twins import heatmap_twin, in_categories
from backend.contract.result import Result

_HERE = Path(__file__).parent
_MOUNT = st.components.v2.component(
    "letterheads_heatmap",
    html=(_HERE / "heatmap.html").read_text("utf-8"),
    css=(_HERE / "heatmap.css").read_text("utf-8"),
    js=(_HERE / "heatmap.js").read_text("utf-8"),
)
MLP = "MLP"


@dataclass(frozen=True)
class Heatmap:
    """What is drawn. Arrays are `[row, column]`.

    Attributes:
        values: in `unit`. NaN where a value is missing.
        low, high: the ends of the 95 % intervals.
        estimate: drawn as a small mark where `values` is missing.
        spread: the standard deviation of each value.
        missing: why a cell has no value and no estimate. Such cells are hatched.
        range: the ends of the colour scale; `diverging`: its middle is zero.
        roles: one for each column, whose text is then a token on its role's colour.
        marked: cells with a frame.
        heads: a cell is named L16H7 for row "16" and column "7", or MLP 16 in the column "MLP". Else by both texts.
        root: whether colours follow the square root of the value, so that small ones are seen beside large ones.
        categories: name, mark and colour of each kind of cell. Values are then their indices, NaN for none.
        texts: with categories, what is told of each cell, row by row.
    """

    title: str
    unit: str
    values: NDArray[np.float32]
    rows: Sequence[str]
    columns: Sequence[str]
    row_axis: str
    column_axis: str
    range: tuple[float, float]
    diverging: bool = False
    low: NDArray[np.float32] | None = None
    high: NDArray[np.float32] | None = None
    estimate: NDArray[np.float32] | None = None
    spread: NDArray[np.float32] | None = None
    missing: str = ""
    roles: Sequence[str] = ()
    marked: Sequence[tuple[int, int]] = ()
    heads: bool = False
    square: bool = False
    root: bool = False
    categories: Sequence[tuple[str, str, str]] = ()
    texts: Sequence[str] = ()

    def packed(self, clickable: bool) -> bytes:
        """One piece of bytes for heatmap.js: header length, JSON header padded to 4 bytes, float32 numbers.

        The header names the arrays in their order.
        """
        given = {
            "values": self.values,
            "low": self.low,
            "high": self.high,
            "estimate": self.estimate,
            "spread": self.spread,
        }
        arrays = {name: array for name, array in given.items() if array is not None}
        header = {
            "title": self.title,
            "unit": self.unit,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "rowAxis": self.row_axis,
            "columnAxis": self.column_axis,
            "range": [float(end) for end in self.range],
            "diverging": self.diverging,
            "marked": [list(cell) for cell in self.marked],
            "heads": self.heads,
            "square": self.square,
            "root": self.root,
            "clickable": clickable,
            "missing": self.missing,
            "roles": [kind_of(role) for role in self.roles],
            "kinds": TINTS,
            "categories": [list(category) for category in self.categories],
            "texts": list(self.texts),
            "arrays": list(arrays),
        }
        text = json.dumps(header, ensure_ascii=True).encode("ascii")
        text += b" " * (-len(text) % 4)
        numbers = b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values())
        return struct.pack("<I", len(text)) + text + numbers

    def twin(self) -> go.Figure:
        """The same as a chart of plotly's."""
        twin = heatmap_twin(
            self.values,
            self.rows,
            self.columns,
            title=self.title,
            axes=(self.row_axis, self.column_axis),
            unit=self.unit,
            ends=self.range,
        )
        return in_categories(twin, self.categories) if self.categories else twin


def head_grid(
    title: str,
    unit: str,
    values: NDArray[np.float32],
    *,
    diverging: bool,
    interval: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    marked: Sequence[tuple[int, int]] = (),
    end: float | None = None,
) -> Heatmap:
    """`values[layer, head]` as a heatmap; its colours are centred at zero if `diverging`, else they begin there.

    `end`: where they are full; at the largest value if it is not given.
    """
    layers, heads = values.shape
    largest = end or float(np.nanmax(np.abs(values))) or 1.0
    low, high = interval or (None, None)
    return Heatmap(
        title=title,
        unit=unit,
        values=values,
        rows=[str(layer) for layer in range(layers)],
        columns=[str(head) for head in range(heads)],
        row_axis="layer",
        column_axis="head",
        range=(-largest, largest) if diverging else (0.0, largest),
        diverging=diverging,
        low=low,
        high=high,
        marked=marked,
        heads=True,
    )


def with_mlps(
    grid: Heatmap, mlps: NDArray[np.float32], interval: tuple[NDArray[np.float32], NDArray[np.float32]] | None
) -> Heatmap:
    """A grid of heads with a column beside it for each layer's MLP, on the same scale."""
    low, high = interval or (None, None)

    def beside(
        heads: NDArray[np.float32] | None, own: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        return None if heads is None or own is None else np.column_stack([heads, own]).astype(np.float32)

    largest = max(grid.range[1], float(np.abs(mlps).max()))
    return replace(
        grid,
        values=np.column_stack([grid.values, mlps]).astype(np.float32),
        low=beside(grid.low, low),
        high=beside(grid.high, high),
        columns=[*grid.columns, MLP],
        column_axis="head, and MLP",
        range=(-largest, largest),
    )


def expert_grid(title: str, values: NDArray[np.float32], columns: Sequence[str]) -> Heatmap:
    """`values[layer, expert]` in logits, as a heatmap centred at zero; NaN in layers without experts."""
    largest = float(np.nanmax(np.abs(values))) or 1.0
    return Heatmap(
        title=title,
        unit="logits",
        values=values,
        rows=[str(layer) for layer in range(len(values))],
        columns=columns,
        row_axis="layer",
        column_axis="expert",
        range=(-largest, largest),
        diverging=True,
        missing="this layer's MLP has no experts",
    )


def show_heatmap(
    heatmap: Heatmap,
    key: str,
    on_pick: Callable[[int, int], None] | None = None,
    *,
    of: Result | None = None,
) -> None:
    """Draw it. A click on a cell, or Enter, calls `on_pick(row, column)`.

    `of`: the checked result that it shows, for its menu of files; None while there is none.
    """

    def picked() -> None:
        cell = st.session_state[key].cell
        if on_pick is not None and isinstance(cell, list | tuple) and len(cell) == 2:
            row, column = (int(part) for part in cell)
            if 0 <= row < len(heatmap.rows) and 0 <= column < len(heatmap.columns):
                on_pick(row, column)

    _MOUNT(key=key, data=heatmap.packed(clickable=on_pick is not None), on_cell_change=picked)
    if of is not None:
        take_away(heatmap.twin, of, key=key, title=heatmap.title)
