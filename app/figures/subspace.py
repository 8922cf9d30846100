"""A head's queries and keys as points in three dimensions, and their variance along each component."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.letters import letter_colour
from app.figures.style import COLOURS, finish, legend_above, plain
from app.figures.subspace_points import AXES

# The marks of queries and of keys: for the unchanged prompts, then for each mutation.
MARKS = (("circle", "diamond"), ("circle-open", "diamond-open"), ("square", "cross"), ("square-open", "x"))
KINDS = {"query": "queries", "key": "keys"}
REST = "other"
# Its centre is a little off the middle, so that a chart narrower than high shows the upright axis's name.
CAMERA = {"eye": {"x": 1.6, "y": 1.55, "z": 0.95}, "center": {"x": 0.05, "y": -0.05, "z": -0.1}}
FAR = {"eye": {"x": 2.15, "y": 2.1, "z": 1.2}, "center": CAMERA["center"]}
GRID = LINE = "#8C8C8C"
SHOWN_COMPONENTS = 10


@dataclass(frozen=True)
class Look:
    """How the points are drawn.

    Attributes:
        colour: the column of `points_frame` that gives the colours.
        means: whether the mean of each colour is drawn too.
        directions: by label an end `[axis]`, drawn as a line from the origin; all axes then have one scale, so that
            angles are true.
        camera: plotly's `scene.camera`; None for the usual view.
    """

    colour: str
    means: bool = False
    directions: Mapping[str, NDArray[np.float32]] | None = None
    camera: Mapping[str, Any] | None = None


def scene(frame: pd.DataFrame, components: Sequence[int], look: Look, title: str) -> go.Figure:
    """The points of `points_frame` along its three `components`; customdata is the question's index in its bank."""
    figure = go.Figure()
    colour, directions = look.colour, look.directions
    groups = _groups(frame, colour)
    named = frame[colour].where(frame[colour].isin(groups), REST)
    usual = set(named[frame["among"] == ""])
    colours = _colours(frame, colour, groups)
    for among, marks in zip(frame["among"].unique(), MARKS, strict=False):
        for kind, mark in zip(KINDS, marks, strict=True):
            own = (frame["among"] == among) & (frame["kind"] == kind)
            if among:
                _add_legend(figure, among, kind, mark)
            for group in groups:
                rows = frame[own & (named == group)]
                if not rows.empty:
                    listed = not among or group not in usual
                    _add_points(figure, rows, mark, group, colours[group], listed=listed)
                    if look.means:
                        _add_mean(figure, rows, mark, group, colours[group])
    if directions:
        _add_directions(figure, frame, directions)
    finish(figure, title=title, x="", y="", height=600)
    figure.update_layout(
        showlegend=True,
        # The legend is below the scene, where it hides no point.
        legend={"orientation": "h", "x": 0, "y": 0, "yanchor": "top", "itemsizing": "constant"},
        scene={axis + "axis": _axis(component) for axis, component in zip(AXES, components, strict=True)}
        | {
            "aspectmode": "data" if directions else "cube",
            "camera": look.camera or (FAR if directions else CAMERA),
        },
    )
    return figure


def variance_bars(q: NDArray[np.float32], k: NDArray[np.float32]) -> go.Figure:
    """Bars of the first few of `q[component]` and `k[component]`, shares of the variance."""
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
    legend_above(figure)
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def _groups(frame: pd.DataFrame, colour: str) -> list[str]:
    """The values of one column. If there are many: the most frequent, and `REST`. The unchanged prompts' come first."""
    counted = frame[colour].value_counts()
    usual = set(frame.loc[frame["among"] == "", colour])
    few = list(counted.index)
    if len(few) > len(COLOURS):
        few = sorted(few, key=lambda group: group not in usual)[: len(COLOURS) - 1]
    listed = sorted(few, key=lambda group: (group not in usual, group))
    return listed if len(few) == len(counted) else [*listed, REST]


def _colours(frame: pd.DataFrame, colour: str, groups: Sequence[str]) -> dict[str, str]:
    """The colour of each group. Each letter of the unchanged prompts has its own, and each position in the list."""
    keys = frame[(frame["among"] == "") & (frame["kind"] == "key")]
    named = {"label": keys["label"], "letter": keys["label"], "place": keys["place"]}.get(
        colour, keys["label"][:0]
    )
    own = {name: letter_colour(int(place) - 1) for name, place in zip(named, keys["place"], strict=False)}
    free = [shade for shade in COLOURS if shade not in {own.get(group) for group in groups}] or [*COLOURS]
    others = [group for group in groups if group not in own]
    return own | {group: free[number % len(free)] for number, group in enumerate(others)}


def _add_legend(figure: go.Figure, among: str, kind: str, mark: str) -> None:
    """The legend's line for a mutation's mark. Its colours are those of the unchanged prompts."""
    figure.add_scatter3d(
        x=[None],
        y=[None],
        z=[None],
        mode="markers",
        name=KINDS[kind],
        legendgroup=f"{among} {kind}",
        legendgrouptitle={"text": plain(among).capitalize() if kind == "query" else ""},
        marker={"symbol": mark, "color": LINE},
    )


def _add_points(
    figure: go.Figure, rows: pd.DataFrame, mark: str, group: str, colour: str, *, listed: bool
) -> None:
    """Add one colour's points of one kind. `listed`: they have a line in the legend."""
    kind, among = rows["kind"].iloc[0], rows["among"].iloc[0]
    figure.add_scatter3d(
        x=rows["x"],
        y=rows["y"],
        z=rows["z"],
        mode="markers",
        name=plain(group),
        legendgroup=f"{among} {kind}",
        legendgrouptitle={"text": "" if among else KINDS[kind].capitalize()},
        showlegend=listed,
        text=rows["text"],
        customdata=rows["item"],
        marker={"symbol": mark, "size": 5 if kind == "query" else 4, "color": colour, "opacity": 0.85},
        hovertemplate="%{text}<extra></extra>",
    )


def _add_mean(figure: go.Figure, rows: pd.DataFrame, mark: str, group: str, colour: str) -> None:
    middle = rows[list(AXES)].mean()
    last = figure.data[-1]
    figure.add_scatter3d(
        x=[middle["x"]],
        y=[middle["y"]],
        z=[middle["z"]],
        mode="markers+text",
        legendgroup=last.legendgroup,
        showlegend=False,
        text=[plain(group)],
        textfont={"size": 14, "color": colour},
        marker={
            "symbol": mark if mark.endswith("-open") or mark in ("cross", "x") else f"{mark}-open",
            "size": 13,
            "color": colour,
            "line": {"width": 3},
        },
        hovertemplate=f"mean of the {len(rows)} {KINDS[rows['kind'].iloc[0]]} of {plain(group)}<extra></extra>",
    )


def _add_directions(
    figure: go.Figure, frame: pd.DataFrame, directions: Mapping[str, NDArray[np.float32]]
) -> None:
    """Add a line for each label, all to one scale: the longest reaches as far as the farthest query."""
    base = (frame["kind"] == "query") & (frame["among"] == "")
    farthest = np.linalg.norm(frame.loc[base, list(AXES)], axis=1).max()
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
