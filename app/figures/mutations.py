"""Loss and accuracy under mutations, and where one head looks: under each, and with another prompt's query."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

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
# The text's colour on a light and on a dark page.
INKS = ("#20242A", "#F2F0EA")
# The colours for and against a letter, so transparent that the text stays readable on both pages.
SHADES = ((0, "rgba(63, 143, 192, 0.75)"), (0.5, "rgba(140, 140, 140, 0)"), (1, "rgba(217, 131, 36, 0.75)"))


@dataclass(frozen=True)
class Compared:
    """Numbers in a table, each compared with one of its own.

    Attributes:
        values, usual: `[row, column]`, the numbers and what each is compared with.
        rows, columns: the names of the rows and of the columns.
        interval: the ends of the 95 % intervals of `values`, each `[row, column]`.
    """

    values: Numbers
    usual: Numbers
    rows: Sequence[str]
    columns: Sequence[str]
    interval: tuple[Numbers, Numbers] | None = None


@dataclass(frozen=True)
class Line:
    """One line over the mutations: `values[mutation]` and the ends of their 95 % intervals."""

    name: str
    values: Numbers
    interval: tuple[Numbers, Numbers]


def change_table(compared: Compared, *, title: str, x: str, y: str, worse: float, dark: bool) -> go.Figure:
    """Each value as a number with its difference from `usual` below it. The difference gives the colour.

    Orange is worse, blue is better. The difference `worse` has the full colour; it is negative if larger values are
    better. `dark`: the page is dark.
    """
    values, interval = compared.values, compared.interval
    across, down = ([_wrapped(name) for name in names] for names in (compared.columns, compared.rows))
    change = values - compared.usual
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
    # The text is a second trace, because plotly chooses a heatmap's text colour as if the cells were opaque.
    figure.add_scatter(
        x=across * len(down),
        y=[name for name in down for _ in across],
        text=[text for row in figure.data[0].text for text in row],
        mode="text",
        textfont={"size": 11, "color": INKS[dark]},
        hoverinfo="skip",
    )
    finish(figure, title=title, x=x, y=y, height=150 + 46 * len(down))
    figure.update_xaxes(showgrid=False, tickfont={"size": 11})
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 11})
    return figure


def mutation_lines(result: Result, measure: str, title: str) -> go.Figure:
    """A line for each condition over the mutations, with 95 % intervals."""
    mutations, conditions = titles_of(result, "mutations"), titles_of(result, "conditions")
    interval = interval_of(result, measure)
    figure = go.Figure()
    for number, condition in enumerate(conditions):
        ends = interval[0][:, number], interval[1][:, number]
        line = Line(condition, result[measure][:, number], ends)
        _add_line(figure, number, mutations, line, shares=measure == "accuracy")
    _finish_lines(figure, title, AXIS_NAMES[measure])
    figure.update_yaxes(tickformat=".0%" if measure == "accuracy" else "", rangemode="tozero")
    return figure


def looks(result: Result, head: str) -> go.Figure | None:
    """For each mutation the share of attention to labels that goes to the right label, and to its usual letter.

    None if the result does not have these shares; a result of several heads does not.
    """
    if "right_share" not in result.arrays:
        return None
    figure = go.Figure()
    for number, (name, title) in enumerate(FOLLOWED.items()):
        line = Line(title, result[name], interval_of(result, name))
        _add_line(figure, number, titles_of(result, "mutations"), line, shares=True)
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
    """A mark for each question. x: attention to the right option's letter; y: attention to its place in the list."""
    figure = go.Figure()
    figure.add_scatter(
        x=result["follows_letter"],
        y=result["follows_place"],
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


def _add_line(figure: go.Figure, number: int, mutations: Sequence[str], line: Line, *, shares: bool) -> None:
    """Add line `number`, counted from 0; `shares`: its values are shares."""
    figure.add_scatter(
        x=[_wrapped(mutation) for mutation in mutations],
        y=line.values,
        error_y=error_bars(line.values, *line.interval, shares=shares),
        mode="lines+markers",
        name=plain(line.name),
        line={
            "color": COLOURS[number % len(COLOURS)],
            "width": 1.6,
            "dash": ("solid", *DASHES)[number % len(DASHES)],
        },
        marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8},
        hovertemplate=f"%{{x}}, {plain(line.name)}: %{{y:{'.1%' if shares else '.3f'}}}<extra></extra>",
    )


def _finish_lines(figure: go.Figure, title: str, y: str) -> None:
    finish(figure, title=title, x="", y=y, height=480)
    figure.update_layout(
        scattermode="group", scattergap=0.6
    )  # lines are shifted sideways, so that no interval covers another
    legend_below(figure, -0.3)


def _cell(value: float, change: float) -> str:
    """The value, and below it the difference unless that rounds to zero."""
    difference = f"{change:+.2f}".replace("-", "−")
    return f"{value:.2f}" + ("" if difference[1:] == "0.00" else f"<br>{difference}")


def _wrapped(name: str) -> str:
    return "<br>".join(plain(line) for line in textwrap.wrap(name, NAME_WIDTH))
