"""Loss and accuracy under changed labels, where one head looks under each, and with another prompt's query."""

import textwrap
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures.style import (
    COLOURS,
    DASHES,
    OTHER,
    Numbers,
    error_bars,
    finish,
    legend_below,
    plain,
    stem_lines,
)
from backend.contract.result import Result

GUIDE = {"color": OTHER, "width": 1, "dash": "dash"}
SYMBOLS = ("circle", "diamond", "square", "x", "cross", "triangle-up", "triangle-down")
AXIS_NAMES = {"loss": "loss, nats", "accuracy": "share answered right"}
FOLLOWED = {
    "right_share": "the right option's label",
    "letter_share": "the letter it usually has",
}
NAME_WIDTH = 11
# Those for and against a letter, so far see-through that text stays readable on a light and on a dark page.
INKS = ("#20242A", "#F2F0EA")
SHADES = ((0, "rgba(63, 143, 192, 0.75)"), (0.5, "rgba(140, 140, 140, 0)"), (1, "rgba(217, 131, 36, 0.75)"))


def change_table(
    values: Numbers,
    usual: Numbers,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    x: str,
    y: str,
    worse: float,
    dark: bool,
    interval: tuple[Numbers, Numbers] | None = None,
) -> go.Figure:
    """`values[row, column]` as numbers, each with its difference from `usual` (of the same shape), which colours it.

    Orange is worse, blue better. `worse` is the difference with the full colour, negative where more is better;
    `dark` says on which page it is read.
    """
    across, down = ([_wrapped(name) for name in names] for names in (columns, rows))
    change = values - usual
    ends = "" if interval is None else "<br>95 %: %{customdata[0]:.3f} to %{customdata[1]:.3f}"
    figure = go.Figure(
        go.Heatmap(
            z=change / worse,
            x=across,
            y=down,
            zmin=-1,
            zmax=1,
            colorscale=SHADES,
            showscale=False,
            xgap=2,
            ygap=2,
            text=[
                [_cell(value, by) for value, by in zip(*both, strict=True)]
                for both in zip(values.tolist(), change.tolist(), strict=True)
            ],
            customdata=None if interval is None else np.stack(interval, axis=-1),
            hovertemplate=f"{y} %{{y}}<br>{x} %{{x}}<br>%{{text}}{ends}<extra></extra>",
        )
    )
    # As points' text: the colour of a heatmap's own is chosen for opaque cells.
    figure.add_scatter(
        x=across * len(down),
        y=[name for name in down for _ in across],
        text=[text for row in figure.data[0].text for text in row],
        mode="text",
        textfont={"size": 11, "color": INKS[dark]},
        hoverinfo="skip",
    )
    finish(figure, title=title, x=x, y=y, height=150 + 46 * len(rows))
    figure.update_xaxes(showgrid=False, tickfont={"size": 11})
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 11})
    return figure


def mutation_lines(result: Result, measure: str, title: str) -> go.Figure:
    """A line for each condition over the mutations; with 95 % intervals where the result has them."""
    mutations, conditions = titles_of(result, "mutations"), titles_of(result, "conditions")
    interval = interval_of(result, measure)
    figure = go.Figure()
    for place, condition in enumerate(conditions):
        ends = None if interval is None else (interval[0][:, place], interval[1][:, place])
        _add_line(figure, place, mutations, condition, result[measure][:, place], ends, measure == "accuracy")
    _finish_lines(figure, title, AXIS_NAMES[measure])
    figure.update_yaxes(tickformat=".0%" if measure == "accuracy" else "", rangemode="tozero")
    return figure


def looks(result: Result, head: str) -> go.Figure | None:
    """Under each mutation the share of attention to labels that goes to the right one, and to the usual letter.

    None where the result does not tell, as of several heads.
    """
    if "right_share" not in result.arrays:
        return None
    figure = go.Figure()
    for place, (name, title) in enumerate(FOLLOWED.items()):
        interval = interval_of(result, name)
        _add_line(figure, place, titles_of(result, "mutations"), title, result[name], interval, True)
    _finish_lines(figure, f"Where {head} looks, of all labels", "share of its attention to labels")
    figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02])
    return figure


def titles_of(result: Result, what: str) -> Sequence[str]:
    """The mutations' or the conditions' titles."""
    return [str(entry["title"]) for entry in result.scalars[what]]


def interval_of(result: Result, measure: str) -> tuple[Numbers, Numbers]:
    """The ends of the 95 % intervals of one measure."""
    return result[f"{measure}_low"], result[f"{measure}_high"]


def swap_scatter(result: Result, head: str) -> go.Figure:
    """A mark for each question: attention to the right letter's label across, to its place up."""
    letter, place = result["follows_letter"], result["follows_place"]
    figure = go.Figure()
    figure.add_scatter(
        x=letter,
        y=place,
        mode="markers",
        marker={"color": COLOURS[0], "size": 8, "opacity": 0.7},
        text=[stem_lines(question["stem"]) for question in result.scalars["questions"]],
        hovertemplate="%{text}<br>to the place %{y:.3f}<br>to the letter %{x:.3f}<extra></extra>",
    )
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, layer="below", line=GUIDE)
    finish(
        figure,
        title=f"Where {head} looks with another prompt's query",
        x="attention to the same letter",
        y="attention to the same place",
        height=420,
    )
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_yaxes(range=[-0.03, 1.03])
    return figure


def _add_line(
    figure: go.Figure,
    place: int,
    mutations: Sequence[str],
    name: str,
    values: Numbers,
    interval: tuple[Numbers, Numbers],
    shares: bool,
) -> None:
    figure.add_scatter(
        x=[_wrapped(mutation) for mutation in mutations],
        y=values,
        error_y=error_bars(values, *interval, shares=shares),
        mode="lines+markers",
        name=plain(name),
        line={
            "color": COLOURS[place % len(COLOURS)],
            "width": 1.6,
            "dash": ("solid", *DASHES)[place % len(DASHES)],
        },
        marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8},
        hovertemplate=f"%{{x}}, {plain(name)}: %{{y:{'.1%' if shares else '.3f'}}}<extra></extra>",
    )


def _finish_lines(figure: go.Figure, title: str, y: str) -> None:
    finish(figure, title=title, x="", y=y, height=480)
    figure.update_layout(scattermode="group", scattergap=0.6)  # side by side: no interval covers another
    legend_below(figure, -0.3)


def _cell(value: float, change: float) -> str:
    """The value and below it by how much it differs, where that shows."""
    told = f"{change:+.2f}".replace("-", "−")
    return f"{value:.2f}" + ("" if told[1:] == "0.00" else f"<br>{told}")


def _wrapped(name: str) -> str:
    return "<br>".join(plain(line) for line in textwrap.wrap(name, NAME_WIDTH))
