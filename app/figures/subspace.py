"""Queries and keys of one head as a picture in three dimensions, and how much of their variance each holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.style import COLOURS, finish, plain
from app.figures.subspace_points import AXES

MARKS = {"query": "circle", "key": "diamond"}
REST = "other"
CAMERA = {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.1}}
GRID = "rgba(140, 140, 140, 0.4)"
LINE = "#8C8C8C"
SHOWN_COMPONENTS = 10


def scene(
    frame: pd.DataFrame,
    colour: str,
    components: Sequence[int],
    *,
    means: bool,
    title: str,
    directions: Mapping[str, NDArray[np.float32]] | None = None,
    camera: Mapping[str, Any] | None = None,
) -> go.Figure:
    """The points of `points_frame`, coloured by one of its columns, with the mean of each colour where asked for.

    `directions[label]` is drawn as a line from the origin; all axes then have one scale, so that angles are true.
    `camera` is plotly's, for another view than the first. A point's customdata is its question's index in its bank.
    """
    figure = go.Figure()
    groups = _groups(frame, colour)
    named = frame[colour].where(frame[colour].isin(groups), REST)
    for kind, mark in MARKS.items():
        for place, group in enumerate(groups):
            rows = frame[(frame["kind"] == kind) & (named == group)]
            if rows.empty:
                continue
            figure.add_scatter3d(
                x=rows["x"],
                y=rows["y"],
                z=rows["z"],
                mode="markers",
                name=plain(group),
                legendgroup=kind,
                legendgrouptitle={"text": "Queries" if kind == "query" else "Keys"},
                text=rows["text"],
                customdata=rows["item"],
                marker={
                    "symbol": mark,
                    "size": 5 if kind == "query" else 4,
                    "color": COLOURS[place],
                    "opacity": 0.85,
                },
                hovertemplate="%{text}<extra></extra>",
            )
            if means:
                _add_mean(figure, rows, kind, group, COLOURS[place])
    if directions:
        _add_directions(figure, frame, directions)
    finish(figure, title=title, x="", y="", height=600)
    figure.update_layout(
        showlegend=True,
        legend={"x": 1, "xanchor": "right", "y": 0.94, "itemsizing": "constant"},
        scene={axis + "axis": _axis(place) for axis, place in zip(AXES, components, strict=True)}
        | {"aspectmode": "data" if directions else "cube", "camera": camera or CAMERA},
    )
    return figure


def variance_bars(q: NDArray[np.float32], k: NDArray[np.float32]) -> go.Figure:
    """`q[component]` and `k[component]`, shares of the variance; the first few."""
    figure = go.Figure()
    numbers = np.arange(1, min(SHOWN_COMPONENTS, len(q)) + 1)
    for name, shares, colour, pattern in (("queries", q, COLOURS[0], ""), ("keys", k, COLOURS[1], "/")):
        figure.add_bar(
            x=numbers,
            y=shares[: len(numbers)],
            name=name,
            customdata=np.cumsum(shares)[: len(numbers)],
            marker={"color": colour, "pattern": {"shape": pattern}},
            hovertemplate=f"component %{{x}}: %{{y:.1%}} of the {name}' variance<br>"
            "up to it %{customdata:.1%}<extra></extra>",
        )
    finish(
        figure, title="Variance along each component", x="component", y="share of the variance", height=300
    )
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom"},
        margin={"t": 64},
    )
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def stand_alone(figure: go.Figure) -> str:
    """The figure as one HTML file that needs nothing else, and no network."""
    copied = go.Figure(figure).update_layout(height=None, template="plotly_white")
    page = copied.to_html(include_plotlyjs=True, full_html=True, default_height="96vh")
    return str(page)


def _groups(frame: pd.DataFrame, colour: str) -> list[str]:
    """The values of one column in the order of their names, or the most frequent and the rest where they are many."""
    counted = frame[colour].value_counts()
    if len(counted) <= len(COLOURS):
        return sorted(counted.index)
    return [*sorted(counted.index[: len(COLOURS) - 1]), REST]


def _add_mean(figure: go.Figure, rows: pd.DataFrame, kind: str, group: str, colour: str) -> None:
    middle = rows[list(AXES)].mean()
    figure.add_scatter3d(
        x=[middle["x"]],
        y=[middle["y"]],
        z=[middle["z"]],
        mode="markers+text",
        legendgroup=kind,
        showlegend=False,
        text=[plain(group)],
        textfont={"size": 14, "color": colour},
        marker={"symbol": f"{MARKS[kind]}-open", "size": 13, "color": colour, "line": {"width": 3}},
        hovertemplate=f"mean of the {len(rows)} {'queries' if kind == 'query' else 'keys'} "
        f"of {plain(group)}<extra></extra>",
    )


def _add_directions(
    figure: go.Figure, frame: pd.DataFrame, directions: Mapping[str, NDArray[np.float32]]
) -> None:
    """All to one scale, the longest as long as the farthest query is from the origin."""
    farthest = np.linalg.norm(frame.loc[frame["kind"] == "query", list(AXES)], axis=1).max()
    longest = max(np.linalg.norm(end) for end in directions.values()) or 1.0
    for label, end in directions.items():
        x, y, z = end * (farthest / longest)
        figure.add_scatter3d(
            x=[0, x],
            y=[0, y],
            z=[0, z],
            mode="lines+text",
            showlegend=False,
            text=["", plain(label)],
            textfont={"size": 15, "color": LINE},
            line={"color": LINE, "width": 5},
            hovertemplate=f"a query this way fits the keys of {plain(label)}<extra></extra>",
        )


def _axis(component: int) -> dict[str, object]:
    return {
        "title": {"text": f"component {component + 1}"},
        "nticks": 5,
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "showspikes": False,
    }
