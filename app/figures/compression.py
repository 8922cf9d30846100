"""The loss when a head's queries and keys are projected onto few dimensions."""

import numpy as np
import plotly.graph_objects as go

from app.figures.style import COLOURS, OTHER, error_bars, finish, legend_below
from backend.contract.result import Result


def compression_curve(result: Result, title: str) -> go.Figure:
    """Loss against rank with its interval, random subspaces as thin lines, whole model and ablated head dashed.

    Ranks stand at equal distances: what matters happens at the smallest.
    """
    ranks = [f"{rank:.0f}" for rank in result["rank"]]
    figure = go.Figure()
    for draw, losses in enumerate(result["loss_random"].T):
        figure.add_scatter(
            x=ranks,
            y=losses,
            mode="lines",
            name="random subspaces",
            legendgroup="random",
            showlegend=draw == 0,
            line={"color": OTHER, "width": 1},
            hovertemplate="random subspace of rank %{x}: %{y:.3f} nats<extra></extra>",
        )
    loss, low, high = (result[name] for name in ("loss", "loss_low", "loss_high"))
    figure.add_scatter(
        x=ranks,
        y=loss,
        mode="lines+markers",
        name="the largest components",
        line={"color": COLOURS[0], "width": 2.5},
        error_y=error_bars(loss, low, high) | {"width": 3},
        customdata=np.stack([result["accuracy"], result["kl"], low, high], axis=-1),
        hovertemplate="rank %{x}: %{y:.3f} nats, 95 %: %{customdata[2]:.3f} to %{customdata[3]:.3f}<br>"
        "accuracy %{customdata[0]:.1%}<br>KL of its attention %{customdata[1]:.3f} nats<extra></extra>",
    )
    for name, array, colour, dash in (
        ("whole model", "loss_model", COLOURS[2], "dash"),
        ("head ablated", "loss_ablated", COLOURS[1], "dot"),
    ):
        figure.add_scatter(
            x=ranks,
            y=[float(result[array])] * len(ranks),
            mode="lines",
            name=name,
            line={"color": colour, "dash": dash, "width": 1.6},
            hovertemplate=f"{name}: %{{y:.3f}} nats<extra></extra>",
        )
    finish(figure, title=title, x="dimensions kept", y="loss, nats", height=440)
    legend_below(figure, -0.2)
    figure.update_xaxes(type="category")
    return figure
