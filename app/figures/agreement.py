"""Estimates against exact values of the same cells."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.style import COLOURS, FOR, finish, plain

Values = NDArray[np.float32]


def comparable(estimate: Values, exact: Values) -> NDArray[np.bool_]:
    """Which cells say something: both values known, and not those where both runs are still alike (exactly zero)."""
    return np.asarray(np.isfinite(estimate) & np.isfinite(exact) & (estimate != 0))


def rank_correlation(estimate: Values, exact: Values) -> float:
    """Spearman's, over comparable cells; NaN where there are fewer than three or nothing varies.

    >>> round(rank_correlation(np.float32([1, 2, 9, 0]), np.float32([3, 4, 5, 0])), 6)
    1.0
    """
    kept = comparable(estimate, exact)
    if kept.sum() < 3:
        return float("nan")
    pair = pd.DataFrame({"estimate": estimate[kept], "exact": exact[kept]}).rank()
    return float(pair["estimate"].corr(pair["exact"]))


def agreement(estimate: Values, exact: Values, names: Sequence[str], unit: str) -> go.Figure:
    """One mark for each comparable cell, `names` in the order of the flattened arrays, and the line of equality."""
    kept = comparable(estimate, exact).ravel()
    x, y = estimate.ravel()[kept], exact.ravel()[kept]
    ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
    figure = go.Figure()
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": COLOURS[-1], "width": 1, "dash": "dash"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"color": FOR, "size": 6, "opacity": 0.8},
        text=[plain(name) for name, keep in zip(names, kept, strict=True) if keep],
        hovertemplate="%{text}<br>estimate %{x:.3g}, exact %{y:.3g}<extra></extra>",
    )
    return finish(
        figure,
        title="Estimate against exact value, one mark a cell",
        x=f"estimate ({plain(unit)})",
        y=f"exact ({plain(unit)})",
        height=380,
    )
