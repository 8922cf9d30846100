"""The letters' probabilities against the strength at which one head's key or query is moved."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures.letters import letter_colour
from app.figures.steering import among_labels
from app.figures.style import DASHES, OTHER, Numbers, finish, legend_below, plain


def turns_at(logits: Numbers, said: int) -> int | None:
    """The index of the first strength at which another label than `said` leads, of `logits[strength,label]`.

    >>> turns_at(np.float32([[2, 1], [1, 2], [0, 3]]), 0)
    1
    """
    other = np.flatnonzero(logits.argmax(axis=-1) != said)
    return int(other[0]) if len(other) else None


def turn_curves(
    strengths: Numbers, logits: Numbers, attention: Numbers, labels: Sequence[str], *, at: int, to: int
) -> go.Figure:
    """`logits[strength,label]` as probabilities among the labels; the head's attention to label `to` as a grey line.

    A dotted line stands at the strength with the index `at`.
    """
    figure = go.Figure()
    # Strengths are not evenly spaced: each gets the same width.
    ticks = np.arange(len(strengths))
    probs = among_labels(logits)
    for index, label in enumerate(labels):
        figure.add_scatter(
            x=ticks,
            y=probs[:, index],
            customdata=strengths,
            mode="lines+markers",
            name=plain(label),
            line={
                "color": letter_colour(index),
                "width": 3 if index == to else 1.6,
                "dash": DASHES[index] if index != to else "solid",
            },
            marker={"symbol": index, "size": 6},
            hovertemplate=f"strength %{{customdata:g}}: {plain(label)} %{{y:.1%}}<extra></extra>",
        )
    figure.add_scatter(
        x=ticks,
        y=attention[:, to],
        customdata=strengths,
        mode="lines",
        name=f"the head's attention to {plain(labels[to])}",
        line={"color": OTHER, "width": 2, "dash": "dot"},
        hovertemplate="strength %{customdata:g}: attention %{y:.1%}<extra></extra>",
    )
    figure.add_vline(x=at, line={"color": OTHER, "width": 2, "dash": "dash"})
    finish(
        figure,
        title="The letters, with one head turned",
        x="strength: 1 is the whole difference",
        y="share",
        height=360,
    )
    legend_below(figure, -0.25)
    figure.update_xaxes(tickvals=ticks, ticktext=[f"{strength:g}" for strength in strengths])
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
    return figure
