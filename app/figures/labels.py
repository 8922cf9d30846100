"""One bar for each label: probabilities, what a node writes, letters predicted."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.letters import letter_colour
from app.figures.style import AGAINST, FOR, finish, plain


def probability_bars(
    probs: NDArray[np.float32], labels: Sequence[str], options: Sequence[str], right: str | None
) -> go.Figure:
    """`probs[label]`, softmax among the labels, each in its letter's colour; the right one is marked in words."""
    names = [plain(label) + (" ✓ right" if label == right else "") for label in labels]
    figure = go.Figure(
        go.Bar(
            x=probs,
            y=names,
            orientation="h",
            marker_color=[letter_colour(index) for index in range(len(labels))],
            text=[f"{value:.1%}" for value in probs],
            textposition="outside",
            cliponaxis=False,
            customdata=[plain(option) for option in options],
            hovertemplate="%{y} · %{customdata}<br>%{x:.4f} of the labels' probability<extra></extra>",
        )
    )
    finish(figure, title="Probability among the labels", x="probability", y="", height=110 + 34 * len(labels))
    figure.update_xaxes(range=[0, 1.12], dtick=0.25, tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    return figure


def written_bars(
    values: NDArray[np.float32], labels: Sequence[str], right: str | None, title: str
) -> go.Figure:
    """`values[label]` in logits, centred over the vocabulary: above zero is for the letter."""
    figure = go.Figure(
        go.Bar(
            x=[plain(label) + (" ✓ right" if label == right else "") for label in labels],
            y=values,
            marker_color=[FOR if value >= 0 else AGAINST for value in values],
            text=[f"{value:+.2f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x}: %{y:+.4f} logits<extra></extra>",
        )
    )
    finish(figure, title=title, x="label", y="logits", height=300)
    largest = float(np.abs(values).max()) or 1.0
    figure.update_yaxes(range=[-1.25 * largest, 1.25 * largest], zeroline=True)
    return figure


def letters_bars(
    predicted: NDArray[np.float32], right: NDArray[np.float32], labels: Sequence[str]
) -> go.Figure:
    """`predicted[label]` and `right[label]`, shares of the questions, side by side."""
    names = [plain(label) for label in labels]
    figure = go.Figure()
    colours = [letter_colour(index) for index in range(len(labels))]
    for name, values, pattern in (("right", right, "/"), ("predicted", predicted, "")):
        figure.add_bar(
            x=names,
            y=values,
            name=name,
            marker={"color": colours, "pattern": {"shape": pattern}},
            hovertemplate=f"%{{x}} {name} in %{{y:.1%}} of the questions<extra></extra>",
        )
    finish(
        figure,
        title="How often each letter is predicted, and how often it is right",
        x="label",
        y="share of questions",
        height=300,
    )
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.08, "x": 1, "xanchor": "right"})
    figure.update_yaxes(tickformat=".0%", range=[0, 1.1 * max(predicted.max(), right.max())])
    return figure
