"""What sets of heads and MLPs of growing size recover of the answer when kept, and lose when replaced."""

import numpy as np
import plotly.graph_objects as go

from app.figures.style import COLOURS, OTHER, Numbers, finish, legend_below
from backend.contract.result import Result

LIVE, FIXED = COLOURS[3], COLOURS[1]
AXIS = "nodes in the set"


def kept_curve(result: Result, share: float, fixed: bool) -> go.Figure:
    """Recovered against the number of nodes kept, live or fixed, with its interval and random sets of the same size.

    Args:
        share: the share that a set must recover, drawn as a dashed line.
        fixed: whether kept nodes hold their clean outputs.
    """
    name = "sufficiency_fixed" if fixed else "sufficiency"
    figure = _random(result, f"random_{name}")
    _curve(figure, result, name, "the first nodes", FIXED if fixed else LIVE)
    figure.add_hline(share, line={"color": OTHER, "width": 1, "dash": "dash"})
    kept = "held fixed" if fixed else "kept live"
    finish(figure, title=f"Recovered: first nodes {kept}", x=AXIS, y="share of the answer", height=400)
    return _finished(figure)


def necessity_curve(result: Result) -> go.Figure:
    """Lost against the number of nodes replaced together, and the sum of what each of them loses alone."""
    figure = go.Figure()
    _curve(figure, result, "necessity", "replaced together", LIVE)
    figure.add_scatter(
        x=_sizes(result),
        y=result["singles"],
        mode="lines+markers",
        name="sum of each replaced alone",
        line={"color": COLOURS[4], "width": 1.6, "dash": "dot"},
        hovertemplate="first %{x} nodes, each alone: %{y:.2f} in sum<extra></extra>",
    )
    finish(figure, title="Lost: first nodes replaced", x=AXIS, y="share of the answer", height=400)
    return _finished(figure)


def _sizes(result: Result) -> list[str]:
    """The sizes as categories: they stand at equal distances, since what matters happens at the smallest."""
    return [f"{size:.0f}" for size in result["sizes"]]


def _finished(figure: go.Figure) -> go.Figure:
    figure.update_xaxes(type="category")
    legend_below(figure, -0.22)
    return figure


def _random(result: Result, name: str) -> go.Figure:
    figure = go.Figure()
    for draw, shares in enumerate(result[name].T):
        figure.add_scatter(
            x=_sizes(result),
            y=shares,
            mode="lines",
            name=f"{result[name].shape[1]} random sets of the same size",
            legendgroup="random",
            showlegend=draw == 0,
            line={"color": OTHER, "width": 1},
            opacity=0.6,
            hovertemplate="%{x} random nodes: %{y:.2f}<extra></extra>",
        )
    return figure


def _curve(figure: go.Figure, result: Result, name: str, text: str, colour: str) -> None:
    sizes, values = _sizes(result), result[name]
    low, high = result[f"{name}_low"], result[f"{name}_high"]
    if not np.isnan(low).any():
        _band(figure, sizes, low, high, colour)
    figure.add_scatter(
        x=sizes,
        y=values,
        mode="lines+markers",
        name=text,
        line={"color": colour, "width": 2.5},
        customdata=np.stack([low, high], axis=-1),
        hovertemplate="%{x} nodes: %{y:.2f}<br>95 %: %{customdata[0]:.2f} to %{customdata[1]:.2f}<extra></extra>",
    )


def _band(figure: go.Figure, sizes: list[str], low: Numbers, high: Numbers, colour: str) -> None:
    figure.add_scatter(
        x=[*sizes, *sizes[::-1]],
        y=np.concatenate([high, low[::-1]]),
        fill="toself",
        fillcolor=colour,
        opacity=0.18,
        line={"width": 0},
        name="95 % interval",
        hoverinfo="skip",
        showlegend=True,
    )
