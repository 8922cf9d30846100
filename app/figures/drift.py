"""A scatter plot of the same numbers of two models."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.style import COLOURS, OTHER, finish, plain

OPACITY = 0.85


def against(
    one: NDArray[np.float32], other: NDArray[np.float32], names: Sequence[str], *, title: str, what: str
) -> go.Figure:
    """A mark for each of `names`: x is the first model's value, y the second's, on equal scales.

    `what` says what the values are, with their unit. The first trace holds the marks; on the line both are equal.
    """
    both = np.concatenate([one.ravel(), other.ravel()])
    low, high = float(both.min()), float(both.max())
    margin = 0.06 * (high - low or 1.0)
    ends = [low - margin, high + margin]
    figure = go.Figure()
    figure.add_scatter(
        x=one.ravel(),
        y=other.ravel(),
        mode="markers",
        text=[plain(name) for name in names],
        marker={"size": 7, "color": COLOURS[0], "opacity": OPACITY},
        # A click opens a page; it does not dim the rest.
        unselected={"marker": {"opacity": OPACITY}},
        hovertemplate="<b>%{text}</b><br>first %{x:+.3f}<br>second %{y:+.3f}<extra></extra>",
    )
    figure.add_shape(
        type="line", x0=ends[0], y0=ends[0], x1=ends[1], y1=ends[1], layer="below",
        line={"color": COLOURS[-1], "width": 1, "dash": "dash"},
    )  # fmt: skip
    finish(
        figure, title=title, x=f"first: {plain(what)}", y=f"second: {plain(what)}", height=420
    ).update_layout(hovermode="closest")
    # One number of ticks for both, or plotly would choose different steps for the wider axis.
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(zeroline=True, zerolinecolor=OTHER, range=ends, nticks=7)
    return figure
