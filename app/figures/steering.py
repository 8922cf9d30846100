"""Attention and predicted letters while one option's key is moved towards the right option's key."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures.letters import letter_colour
from app.figures.style import COLOURS, OTHER, Numbers, error_bars, finish, legend_below, plain
from backend.contract.result import Result


def flip_curves(result: Result, title: str, strength: float) -> go.Figure:
    """Against strength the share of letters that become the steered option's, its attention, and both at random."""
    figure = go.Figure()
    x = result["strength"]
    for name, what, colour, symbol in (
        ("flipped", "letter becomes that option's", COLOURS[1], "circle"),
        ("steered_attention", "the head's attention to it", COLOURS[0], "diamond"),
    ):
        for suffix, dash in (("", "solid"), ("_random", "dot")):
            values, low, high = (result[f"{name}{suffix}{end}"] for end in ("", "_low", "_high"))
            series = what + (", random direction" if suffix else "")
            figure.add_scatter(
                x=x,
                y=values,
                error_y=error_bars(values, low, high, shares=True) | {"width": 3},
                mode="lines+markers",
                name=series,
                line={"color": OTHER if suffix else colour, "dash": dash, "width": 1.6},
                marker={"symbol": symbol, "size": 7},
                hovertemplate=f"strength %{{x:g}}, {series}: %{{y:.1%}}<extra></extra>",
            )
    figure.add_vline(x=strength, line={"color": COLOURS[-1], "width": 2, "dash": "dot"})
    finish(figure, title=title, x="strength (1 is the whole difference)", y="share", height=440)
    legend_below(figure, -0.22)
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
    return figure


def before_and_after(
    labels: Sequence[str], before: Numbers, after: Numbers, *, title: str, y: str
) -> go.Figure:
    """`before[label]` and `after[label]`, shares, side by side."""
    figure = go.Figure()
    colours = [letter_colour(index) for index in range(len(labels))]
    for name, values, pattern in (("as it is", before, "/"), ("steered", after, "")):
        figure.add_bar(
            x=[plain(label) for label in labels],
            y=values,
            name=name,
            marker={"color": colours, "pattern": {"shape": pattern}},
            hovertemplate=f"%{{x}}, {name}: %{{y:.1%}}<extra></extra>",
        )
    finish(figure, title=title, x="label", y=y, height=300)
    legend_below(figure, -0.3)
    figure.update_xaxes(type="category")
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def among_labels(logits: Numbers) -> Numbers:
    """`[..., label]` logits to probabilities among the labels."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True), np.float32)
