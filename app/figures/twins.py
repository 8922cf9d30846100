"""Charts of what pages draw by themselves: heatmaps and tokens, for files to take away."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.style import AGAINST, FOR, finish, plain

SIGNED = ((0.0, AGAINST), (0.5, "#FFFFFF"), (1.0, FOR))
UNSIGNED = ((0.0, "#FFFFFF"), (1.0, FOR))


def heatmap_twin(
    values: NDArray[np.float32],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    axes: tuple[str, str],
    unit: str,
    ends: tuple[float, float],
) -> go.Figure:
    """`values[row, column]`, centred at zero where `ends` are on both sides of it. `axes`: of rows, of columns."""
    figure = go.Figure(
        go.Heatmap(
            z=values,
            zmin=ends[0],
            zmax=ends[1],
            colorscale=SIGNED if ends[0] < 0 else UNSIGNED,
            colorbar={"title": {"text": plain(unit)}},
            name=unit,
            hoverongaps=False,
        )
    )
    finish(figure, title=title, x=plain(axes[1]), y=plain(axes[0]), height=460)
    figure.update_xaxes(_named(columns))
    return figure.update_yaxes(_named(rows), autorange="reversed")


def in_categories(twin: go.Figure, categories: Sequence[tuple[str, str, str]]) -> go.Figure:
    """The twin with the categories' colours (name, mark, colour) for values that are their indices."""
    count = len(categories)
    steps = [
        ((place + end) / count, colour) for place, (*_, colour) in enumerate(categories) for end in (0, 1)
    ]
    return twin.update_traces(
        zmin=-0.5,
        zmax=count - 0.5,
        colorscale=steps,
        colorbar={"tickvals": list(range(count)), "ticktext": [plain(name) for name, *_ in categories]},
    )


def tokens_twin(tokens: Sequence[str], values: NDArray[np.float32], *, title: str, unit: str) -> go.Figure:
    """A bar for each token, in the order of the prompt."""
    colours = [FOR if value >= 0 else AGAINST for value in values]
    names = [plain(token) for token in tokens]
    figure = go.Figure(go.Bar(y=values, text=names, textposition="none", marker_color=colours, name=unit))
    finish(figure, title=title, x="token", y=plain(unit), height=420)
    return figure.update_xaxes(_named(tokens))


def roles_twin(tokens: Sequence[str], roles: Sequence[str], *, title: str) -> go.Figure:
    """Each token at its position, in the line of its role."""
    names = [plain(token) for token in tokens]
    figure = go.Figure(
        go.Scatter(x=list(range(len(names))), y=list(roles), text=names, mode="text", name="tokens")
    )
    return finish(figure, title=title, x="position", y="role", height=420)


def _named(names: Sequence[str]) -> dict[str, object]:
    """Ticks of these names at 0, 1, ...; equal names stay apart."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [plain(name) for name in names],
    }
