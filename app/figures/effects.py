"""Total against direct effects: which nodes act by their own write, and which through other nodes."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.figures.scale import Scale
from app.figures.style import COLOURS, OTHER, error_bars, finish, legend_above, plain
from backend.contract.head import HeadRef
from backend.contract.result import Result

EFFECTS = ("total", "direct", "indirect", "interaction")
# Marks are named where there is room: a name takes these shares of the picture's width and height. It stands in a
# corner of its mark, off the lines of its interval: so far across and up, the first that is free.
NAME_WIDTH, NAME_HEIGHT = 0.17, 0.05
CORNERS = {"top left": (-1, 1), "top right": (1, 1), "bottom right": (1, -1), "bottom left": (-1, -1)}
ROOM = 0.08
OPACITY = 0.9
GUIDE = {"color": "#8C8C8C", "width": 1, "dash": "dash"}


def effects_frame(result: Result, norm: str) -> pd.DataFrame:
    """A row for each node, by its name, and a column for each effect in the metric's unit.

    Over a bank there are also `total_low`, `total_high` and so on. `norm` says how the final norm was taken.
    """
    index = result.ticks["norm"].index(norm)
    layers, heads = result["heads_total"].shape[1:]
    names = [str(HeadRef(layer, head)) for layer, head in np.ndindex(layers, heads)]
    columns = [name.removeprefix("heads_") for name in result.arrays if name.startswith("heads_")]
    values = {
        column: np.concatenate([result[f"heads_{column}"][index].ravel(), result[f"mlps_{column}"][index]])
        for column in columns
    }
    return pd.DataFrame(values, index=[*names, *(f"MLP {layer}" for layer in range(layers))])


def strongest_nodes(frame: pd.DataFrame, count: int) -> list[str]:
    """The names of the `count` nodes of which any effect is furthest from zero."""
    return list(frame[list(EFFECTS)].abs().max(axis=1).nlargest(count).index)


def writer_and_helper(frame: pd.DataFrame) -> tuple[str, str]:
    """The head with the largest direct effect, and the head with the largest indirect effect of its total's sign.

    An indirect effect of the other sign does not count: there other nodes compensate for the head.
    """
    heads = frame[frame.index.str.startswith("L")]
    with_total = heads["indirect"] * np.sign(heads["total"])
    return str(heads["direct"].abs().idxmax()), str(with_total.idxmax())


def two_digits(value: float) -> str:
    """A value with two digits and its sign, for a sentence.

    >>> two_digits(1.001), two_digits(-0.0264), two_digits(12.3)
    ('+1.0', '-0.026', '+12')
    """
    return f"{value:+#.2g}".rstrip(".")


def effects_scatter(
    frame: pd.DataFrame, unit: str, title: str, named: Mapping[str, str], scale: Scale
) -> go.Figure:
    """A mark for each node of `effects_frame`: x is the direct effect, y the total effect, over the same range.

    The range is at least as wide as where the `scale` paints full colour.

    The first trace holds the heads in the frame's order. The `named` nodes carry their names in this corner
    of theirs, and over a bank their 95 % intervals.
    """
    figure = go.Figure()
    low, high = _range(frame, scale)
    room = ROOM * (high - low or 1.0)
    is_head = frame.index.str.startswith("L")
    for rows, kind, symbol, colour in (
        (frame[is_head], "head", "circle", COLOURS[0]),
        (frame[~is_head], "MLP", "diamond", COLOURS[1]),
    ):
        figure.add_scatter(
            x=rows["direct"],
            y=rows["total"],
            mode="markers",
            name=kind,
            text=rows.index,
            customdata=rows[["indirect", "interaction"]],
            marker={"symbol": symbol, "size": 8, "color": colour, "opacity": OPACITY},
            # A click opens a page; it does not dim the rest.
            unselected={"marker": {"opacity": OPACITY}},
            hovertemplate=f"<b>%{{text}}</b><br>total %{{y:+.3f}} {unit}<br>direct %{{x:+.3f}}<br>"
            "indirect %{customdata[0]:+.3f}<br>interaction %{customdata[1]:+.3f}<extra></extra>",
        )
    _add_names(figure, frame, named)
    figure.add_shape(
        type="line", x0=2 * low - high, y0=2 * low - high, x1=2 * high - low, y1=2 * high - low, layer="below",
        line=GUIDE, name="total = direct", showlegend=True,
    )  # fmt: skip
    finish(figure, title=title, x=f"direct effect, {unit}", y=f"total effect, {unit}", height=560)
    legend_above(figure)
    figure.update_layout(hovermode="closest")
    # One number of ticks for both, or plotly would choose different steps for the wider axis.
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(zeroline=True, zerolinecolor=OTHER, range=[low - room, high + room], nticks=8)
    return figure


def _add_names(figure: go.Figure, frame: pd.DataFrame, named: Mapping[str, str]) -> None:
    rows = frame.loc[list(named)]
    intervals = {}
    if "total_low" in frame:
        intervals = {
            axis: error_bars(*(rows[f"{effect}{end}"].to_numpy() for end in ("", "_low", "_high")))
            | {"width": 0, "color": OTHER}
            for axis, effect in (("error_x", "direct"), ("error_y", "total"))
        }
    figure.add_scatter(
        x=rows["direct"],
        y=rows["total"],
        mode="markers+text",
        marker={"size": 4, "opacity": 0},  # keeps the name off the node's own mark
        text=[plain(name) for name in rows.index],
        textposition=list(named.values()),
        textfont={"size": 11},
        hoverinfo="skip",
        showlegend=False,
        **intervals,
    )


def with_room(frame: pd.DataFrame, names: Collection[str], scale: Scale) -> dict[str, str]:
    """The corner of its mark in which each name stands, in order of importance; names that do not fit are left out.

    There is room where it is on no name taken before, on no other mark, and inside the picture.
    """
    low, high = _range(frame, scale)
    places = (frame[["direct", "total"]] - low) / (high - low or 1.0)
    size = np.array([NAME_WIDTH, NAME_HEIGHT])
    taken: dict[str, str] = {}
    middles: list[np.ndarray] = []
    for name in names:
        here = places.loc[name].to_numpy()
        others = places.drop(name).to_numpy()
        for corner, side in CORNERS.items():
            middle = here + size * side / 2
            inside = (np.abs(middle - 0.5) + size / 2 <= 0.5 + ROOM).all()
            on_name = any((np.abs(middle - other) < size).all() for other in middles)
            on_mark = (np.abs(middle - others) < size / 2).all(axis=1).any()
            if inside and not on_name and not on_mark:
                taken[name] = corner
                middles.append(middle)
                break
    return taken


def _range(frame: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """The range of both axes: all values and intervals, and at least the colour scale's end."""
    drawn = frame.filter(regex="^(direct|total)")
    low, high = float(drawn.min(axis=None)), float(drawn.max(axis=None))
    room = max(0.0, scale.end(drawn.to_numpy(np.float32)) - (high - low)) / 2
    return low - room, high + room
