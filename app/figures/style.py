"""What all charts share: colours that colour-blind readers can distinguish, margins, and text escaped from markup."""

import html
import textwrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

Numbers = NDArray[np.float32]

# Neither orange nor blue, which stand for signs. They stand out on a light and on a dark page. Lightness tells the
# first four apart where red and green look alike; charts add marks, dashes and words.
COLOURS = ("#48A028", "#C02560", "#CC7AE6", "#8440E0", "#737012", "#E8739F", "#8C8C8C")
OTHER = "#A3A3A3"
FOR, AGAINST = "#D98324", "#3F8FC0"
DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot") * 2
STEM_WIDTH, STEM_LENGTH = 48, 240


def plain(text: str) -> str:
    """Text for a chart, where plotly would read `<b>` as bold.

    >>> plain("<b>x")
    '&lt;b&gt;x'
    """
    return html.escape(text, quote=False)


def stem_lines(stem: str) -> str:
    """A question's stem, or its beginning, in lines that fit a hover text."""
    short = textwrap.shorten(stem, STEM_LENGTH, placeholder=" …")
    return "<br>".join(plain(line) for line in textwrap.wrap(short, STEM_WIDTH))


def error_bars(values: Numbers, low: Numbers, high: Numbers, *, shares: bool = False) -> dict[str, Any]:
    """Plotly's bars from `low` to `high`; those of shares end at 0 and 1, which a normal interval may pass."""
    if shares:
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    return {"type": "data", "array": high - values, "arrayminus": values - low, "thickness": 1}


def finish(figure: go.Figure, *, title: str, x: str, y: str, height: int) -> go.Figure:
    """Title, axis names, and room for both."""
    figure.update_layout(
        title={
            "text": plain(title),
            "font": {"size": 14, "family": "Inter, sans-serif", "weight": 600},
            "x": 0,
            "xanchor": "left",
            "y": 0.98,
            "yanchor": "top",
        },
        height=height,
        margin={"l": 8, "r": 12, "t": 40, "b": 8},
        hoverlabel={"align": "left"},
        xaxis={"title": {"text": x}, "automargin": True},
        yaxis={"title": {"text": y}, "automargin": True},
        showlegend=False,
        bargap=0.35,
    )
    return figure


def legend_below(figure: go.Figure, y: float) -> None:
    """A legend under the chart, where it has room on a narrow screen too; `y` in the chart's height from its bottom."""
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "x": 0, "y": y, "xanchor": "left", "yanchor": "top"}
    )


def legend_above(figure: go.Figure) -> None:
    """A legend between title and chart."""
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "xanchor": "left", "yanchor": "bottom"},
        margin={"t": 64},
    )
