"""Queries and keys of one head in three dimensions, and how much of their variance each dimension holds."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.style import COLOURS, finish, plain
from backend.results.result import Result

AXES = ("x", "y", "z")
MARKS = {"query": "circle", "key": "diamond"}
# What a colour stands for -> the column of `points_frame` that says it.
COLOUR_NAMES = {
    "label": "Label",
    "letter": "Right letter",
    "place": "Place in the list",
    "verdict": "Right or wrong",
    "subject": "Subject",
}
REST = "other"
CAMERA = {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.1}}
GRID = "rgba(140, 140, 140, 0.4)"
SHOWN_COMPONENTS = 10
STEM_WIDTH, STEM_LENGTH = 48, 240


def points_frame(result: Result, components: Sequence[int]) -> pd.DataFrame:
    """A row for each query, then for each key, at its coordinates along three components, counted from 0.

    Queries are centred on their mean and keys on theirs; keys are drawn to the queries' scale, since attention has only
    their product. The other columns are named like COLOUR_NAMES; `question` counts rows of the result.
    """
    q, k = _projected(result["q"], result, components), _projected(result["k"], result, components)
    questions, labels = k.shape[:2]
    listed = result.scalars["questions"]
    right = result["right"].astype(int)
    names = result.scalars["labels"]
    common: dict[str, list[Any]] = {
        "question": list(range(questions)),
        "letter": [names[place] for place in right],
        "subject": [question["subject"] or "none" for question in listed],
    }
    queries = pd.DataFrame(
        {
            **common,
            "kind": "query",
            "label": common["letter"],
            "place": [str(place + 1) for place in right],
            "verdict": ["right" if question["right"] else "wrong" for question in listed],
        }
    )
    keys = pd.DataFrame({name: np.repeat(values, labels) for name, values in common.items()})
    of_label = np.tile(np.arange(labels), questions)
    keys["kind"] = "key"
    keys["label"] = [names[place] for place in of_label]
    keys["place"] = [str(place + 1) for place in of_label]
    keys["verdict"] = np.where(of_label == np.repeat(right, labels), "right", "wrong")
    queries[list(AXES)] = q
    keys[list(AXES)] = (k * (_spread(q) / (_spread(k) or 1.0))).reshape(-1, 3)
    frame = pd.concat([queries, keys], ignore_index=True)
    frame["text"] = [
        f"{_wrapped(listed[row.question]['stem'])}<br>right: {plain(row.letter)}, "
        f"the model says {plain(str(listed[row.question]['predicted']))}"
        + (f"<br>key of label {plain(row.label)}" if row.kind == "key" else "<br>query of the final token")
        for row in frame.itertuples()
    ]
    return frame


def scene(
    frame: pd.DataFrame,
    colour: str,
    components: Sequence[int],
    *,
    means: bool,
    title: str,
    camera: Mapping[str, Any] | None = None,
) -> go.Figure:
    """The points of `points_frame`, coloured by one of its columns, with the mean of each colour where asked for.

    `camera` is plotly's, for another view than the first. A point's customdata is its question.
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
                customdata=rows["question"],
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
    finish(figure, title=title, x="", y="", height=600)
    figure.update_layout(
        showlegend=True,
        legend={"x": 1, "xanchor": "right", "y": 0.94, "itemsizing": "constant"},
        scene={axis + "axis": _axis(place) for axis, place in zip(AXES, components, strict=True)}
        | {"aspectmode": "cube", "camera": camera or CAMERA},
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


def _projected(
    vectors: NDArray[np.float32], result: Result, components: Sequence[int]
) -> NDArray[np.float32]:
    """`[..., d_head]` to coordinates about their mean."""
    centred = vectors - vectors.reshape(-1, vectors.shape[-1]).mean(axis=0)
    return np.asarray(centred @ result["basis"][list(components)].T, np.float32)


def _spread(points: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(points).mean()))


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


def _axis(component: int) -> dict[str, object]:
    return {
        "title": {"text": f"component {component + 1}"},
        "nticks": 5,
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "showspikes": False,
    }


def _wrapped(stem: str) -> str:
    short = textwrap.shorten(stem, STEM_LENGTH, placeholder=" …")
    return "<br>".join(plain(line) for line in textwrap.wrap(short, STEM_WIDTH))
