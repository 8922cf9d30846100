"""Loss and accuracy under changed labels, and where attention goes when a query is exchanged."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.style import COLOURS, DASHES, OTHER, finish, plain
from backend.results.result import Result

GUIDE = {"color": OTHER, "width": 1, "dash": "dash"}
SYMBOLS = ("circle", "diamond", "square", "x", "cross", "triangle-up", "triangle-down")
AXIS_NAMES = {"loss": "loss, nats", "accuracy": "share answered right"}


def mutation_lines(result: Result, measure: str, title: str) -> go.Figure:
    """A line for each condition over the mutations; with 95 % intervals where the result has them."""
    mutations, conditions = titles_of(result, "mutations"), titles_of(result, "conditions")
    interval = interval_of(result, measure)
    figure = go.Figure()
    for place, condition in enumerate(conditions):
        values, error = result[measure][:, place], None
        if interval is not None:
            low, high = (ends[:, place] for ends in interval)
            error = {"type": "data", "array": high - values, "arrayminus": values - low, "thickness": 1}
        colour = COLOURS[place % len(COLOURS)]
        figure.add_scatter(
            x=[plain(mutation) for mutation in mutations],
            y=values,
            error_y=error,
            mode="lines+markers",
            name=plain(condition),
            line={"color": colour, "width": 1.6, "dash": ("solid", *DASHES)[place % len(DASHES)]},
            marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8},
            hovertemplate=f"%{{x}}, {plain(condition)}: "
            f"%{{y:{'.1%' if measure == 'accuracy' else '.3f'}}}<extra></extra>",
        )
    finish(figure, title=title, x="", y=AXIS_NAMES[measure], height=420)
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom"},
        margin={"t": 104},
    )
    figure.update_yaxes(tickformat=".0%" if measure == "accuracy" else "", rangemode="tozero")
    return figure


def titles_of(result: Result, what: str) -> Sequence[str]:
    """The mutations' or the conditions' titles."""
    return [str(entry["title"]) for entry in result.scalars[what]]


def interval_of(result: Result, measure: str) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """The ends of the 95 % intervals of one measure, where there are some."""
    if f"{measure}_low" not in result.arrays:
        return None
    return result[f"{measure}_low"], result[f"{measure}_high"]


def swap_scatter(result: Result, head: str) -> go.Figure:
    """A mark for each question: attention to the right letter's label across, to its place up."""
    letter, place = result["follows_letter"], result["follows_place"]
    figure = go.Figure()
    figure.add_scatter(
        x=letter,
        y=place,
        mode="markers",
        marker={"color": COLOURS[0], "size": 8, "opacity": 0.7},
        customdata=np.arange(1, len(letter) + 1),
        hovertemplate="question %{customdata}<br>to the place %{y:.3f}<br>to the letter %{x:.3f}<extra></extra>",
    )
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, layer="below", line=GUIDE)
    finish(
        figure,
        title=f"Where {head} looks with another prompt's query",
        x="attention to the same letter",
        y="attention to the same place",
        height=420,
    )
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_yaxes(range=[-0.03, 1.03])
    return figure
