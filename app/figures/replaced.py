"""The letters' probabilities when heads are replaced, and the share of the change that each set of heads carries."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures.letters import letter_colour
from app.figures.steering import among_labels
from app.figures.style import OTHER, Numbers, finish, legend_below, plain
from backend.contract.result import Result

PATTERNS = ("/", "", ".", "x")
ALL = "#767C89"


def replaced_bars(
    runs: Sequence[tuple[str, Numbers]],
    labels: Sequence[str],
    title: str = "The letters, with heads replaced",
) -> go.Figure:
    """Bars of the letters' probabilities for each of these runs, given as names and `logits[label]`."""
    figure = go.Figure()
    for (name, logits), pattern in zip(runs, PATTERNS, strict=False):
        probs = among_labels(logits)
        figure.add_bar(
            x=[plain(label) for label in labels],
            y=probs,
            name=name,
            marker={
                "color": [letter_colour(index) for index in range(len(labels))],
                "pattern": {"shape": pattern, "fgcolor": "rgba(255,255,255,.55)", "size": 6},
                "line": {"width": 1, "color": "rgba(127,127,127,.8)"},
            },
            text=[f"{value:.0%}" for value in probs],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"%{{x}}, {name}: %{{y:.4f}}<extra></extra>",
        )
    finish(figure, title=title, x="label", y="probability", height=330)
    legend_below(figure, -0.25)
    figure.update_xaxes(type="category")
    figure.update_yaxes(tickformat=".0%", range=[0, 1.1])
    return figure


def set_shares(result: Result, kind: str) -> Numbers:
    """`lost` of a result of `joint-patching`, for its sets of one kind: together, alone or random."""
    of_kind = [number for number, one in enumerate(result.scalars["sets"]) if one["kind"] == kind]
    return np.asarray(result["lost"][of_kind], np.float32)


def share_bars(result: Result) -> go.Figure:
    """A bar for each head alone, for all together, and a mark for each random set."""
    alone, together, random = (set_shares(result, kind) for kind in ("alone", "together", "random"))
    heads = result.scalars["sets"][0]["heads"]
    names, values = [*heads, "all together"], [*alone, *together]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            marker_color=[*(OTHER for _ in alone), ALL],
            text=[f"{value:.0%}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.4f} of the change<extra></extra>",
        )
    )
    figure.add_scatter(
        x=random,
        y=["random heads"] * len(random),
        mode="markers",
        marker={"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": ALL}},
        hovertemplate="random heads of the same layers: %{x:.4f} of the change<extra></extra>",
    )
    finish(
        figure,
        title="What share of the change these heads carry",
        x="share of the change between the two prompts",
        y="",
        height=140 + 32 * (len(names) + 1),
    )
    everything = np.array([0.0, *values, *random])
    margin = 0.15 * max(float(np.ptp(everything)), 0.1)
    figure.update_xaxes(
        tickformat=".0%",
        range=[float(everything.min()) - margin, max(1.0, float(everything.max())) + margin],
        zeroline=True,
    )
    figure.update_yaxes(autorange="reversed")
    return figure
