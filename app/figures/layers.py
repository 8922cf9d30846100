"""Values over the layers: the logit lens and the MLPs."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.letters import letter_colour
from app.figures.style import AGAINST, DASHES, FOR, error_bars, finish, plain


def lens_lines(lens: NDArray[np.float32], labels: Sequence[str], right: str | None) -> go.Figure:
    """`lens[layer, label]`: each label's logit read from the residual stream after each layer."""
    figure = go.Figure()
    layers = np.arange(len(lens))
    for index, label in enumerate(labels):
        figure.add_scatter(
            x=layers,
            y=lens[:, index],
            mode="lines+markers",
            name=plain(label) + (" ✓ right" if label == right else ""),
            line={
                "color": letter_colour(index),
                "dash": "solid" if label == right else DASHES[index],
                "width": 3 if label == right else 1.6,
            },
            marker={"size": 4, "symbol": index},
            hovertemplate=f"{plain(label)} after layer %{{x}}: %{{y:.3f}} logits<extra></extra>",
        )
    finish(
        figure,
        title="Logit lens: the labels' logits if the model stopped after each layer",
        x="after layer",
        y="logits",
        height=340,
    )
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.1, "x": 1, "xanchor": "right"})
    return figure


def mlp_bars(
    values: NDArray[np.float32],
    title: str,
    interval: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> go.Figure:
    """`values[layer]` in logits, with the ends of the 95 % intervals where there are some."""
    figure = go.Figure(
        go.Bar(
            x=np.arange(len(values)),
            y=values,
            error_y=None if interval is None else error_bars(values, *interval),
            marker_color=[FOR if value >= 0 else AGAINST for value in values],
            hovertemplate="MLP %{x}: %{y:+.4f} logits<extra></extra>",
        )
    )
    finish(figure, title=title, x="layer", y="logits", height=280)
    figure.update_yaxes(zeroline=True)
    return figure
