"""The head atlas as a table with a row for each head, and its scatter over any two of the columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.figures.style import AGAINST, COLOURS, FOR, OTHER, finish, legend_below, plain
from backend.contract.head import HeadRef
from backend.contract.result import Result
from backend.results.head_classes import CLASSES, MARKS, Figures, Thresholds, Verdicts, classify
from backend.results.head_figures import SAMPLES, Mean

NONE = "none"
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "cross", "x")
"""A symbol of the scatter for each class."""
CATEGORIES = tuple(zip(CLASSES, MARKS, COLOURS, strict=True))


@dataclass(frozen=True)
class Axis:
    """One column: its title, its unit, and where it comes from.

    Attributes:
        array: the result's array; of a kind of token if `kind` is given, else `[layer, head]`.
        by_sample: whether it is known for the questions answered right too.
    """

    title: str
    unit: str
    array: str
    kinds: tuple[str, ...] = ()
    by_sample: bool = False

    @property
    def named(self) -> str:
        """The title with its unit: `net effect, logits`."""
        return f"{self.title}, {self.unit}" if self.unit else self.title


AXES = {
    "net": Axis("net effect on the right letter", "logits", "net", by_sample=True),
    "total": Axis("total effect", "logits", "total", by_sample=True),
    "direct": Axis("direct effect", "logits", "direct", by_sample=True),
    "indirect": Axis("indirect effect", "logits", "indirect"),
    "label_mass": Axis("attention to labels", "share", "label_mass", by_sample=True),
    "right_share": Axis("share of that on the right label", "share", "right_share", by_sample=True),
    "gap": Axis("smallest gap of a letter", "share", "", by_sample=True),
    "label_entropy": Axis(
        "entropy of the shares on labels", "of its largest", "label_entropy", by_sample=True
    ),
    "content": Axis(
        "attention to the right option's text, less a wrong one's", "share", "content", by_sample=True
    ),
    "last_mass": Axis("attention to suffix and final token", "share", "last_mass", by_sample=True),
    "leader": Axis("written for the leading letter", "logits", "leader", by_sample=True),
    "qk_top_right": Axis("query and key score finds the right label", "share of questions", "qk_top_right"),
    "entropy": Axis("entropy of the attention", "nats", "entropy"),
    "prelude": Axis("attention to the prelude", "share", "roles", ("prelude",)),
    "stem": Axis("attention to the question", "share", "roles", ("stem",)),
    "bracket": Axis("attention to brackets", "share", "roles", ("bracket",)),
    "ends": Axis("attention to option ends", "share", "roles", ("right option end", "wrong option end")),
    "newlines": Axis(
        "attention to newlines after options", "share", "roles", ("right newline", "wrong newline")
    ),
    "induction": Axis("induction on random tokens", "share", "induction", by_sample=True),
    "previous_token": Axis("previous token on plain text", "share", "previous_token", by_sample=True),
    "first_token": Axis("first token on plain text", "share", "first_token", by_sample=True),
    "text_entropy": Axis("entropy on plain text", "of its largest", "text_entropy", by_sample=True),
    "markers": Axis("enumeration markers on a list", "share", "markers", by_sample=True),
    "layer": Axis("layer", "", "", by_sample=True),
}
"""The columns that can be an axis or the colour of the scatter. Those on other texts hang on no question."""
SHADES = ("class", *AXES)


def figures_of(result: Result, sample: str) -> Figures:
    """The mean figures of one of the samples, as classes are told from them."""
    place = SAMPLES.index(sample)
    names = [
        name.removeprefix("sample_")
        for name in result.arrays
        if name.startswith("sample_") and f"{name}_low" in result.arrays
    ]
    return {
        name: Mean(*(result[f"sample_{name}{end}"][place] for end in ("", "_low", "_high"))) for name in names
    }


def halves_of(result: Result, keep: str) -> tuple[Figures, Figures]:
    """The mean figures of both halves, of all questions or those answered right."""
    before = "" if keep == "all" else "right, "
    return figures_of(result, f"{before}first half"), figures_of(result, f"{before}second half")


def verdicts_of(result: Result, keep: str, thresholds: Thresholds) -> Verdicts:
    """The classes at these thresholds, of all questions or those answered right."""
    return classify(*halves_of(result, keep), result.scalars["options"], thresholds)


def smallest_gap(figures: Figures) -> np.ndarray:
    """The smallest difference between the share on a letter where it is right and where not, `[layer, head]`."""
    gap = figures["right_label_share"].value - figures["wrong_label_share"].value
    tested = ~np.isnan(gap[:, 0, 0])
    return gap[tested].min(axis=0) if tested.any() else np.full(gap.shape[1:], np.nan, np.float32)


def atlas_frame(result: Result, verdicts: Verdicts, keep: str) -> pd.DataFrame:
    """A row for each head by its name: classes, letter, negative, and the columns of `AXES` that are known.

    `keep` is all or right: of all questions, or those answered right.
    """
    figures = figures_of(result, keep)
    layers, heads = figures["net"].value.shape
    places = [divmod(index, heads) for index in range(layers * heads)]
    letters = result.ticks["label"]
    columns: dict[str, object] = {
        "classes": [", ".join(verdicts.named(*place)) or NONE for place in places],
        "letter": [
            ", ".join(
                letters[at] for at in np.flatnonzero(verdicts.single[:, *place] | verdicts.fixed[:, *place])
            )
            for place in places
        ],
        "negative": verdicts.negative.ravel(),
    }
    for name, axis in AXES.items():
        if keep == "right" and not axis.by_sample:
            continue
        values: np.ndarray
        if name == "layer":
            values = np.repeat(np.arange(layers), heads)
        elif name == "gap":
            values = smallest_gap(figures)
        elif axis.array in figures:
            values = figures[axis.array].value
        elif axis.kinds:
            chosen = [result.ticks["kind"].index(kind) for kind in axis.kinds]
            values = result[axis.array][chosen].sum(axis=0)
        else:
            values = result[axis.array]
        columns[name] = np.ravel(values)
    return pd.DataFrame(columns, index=[str(HeadRef(*place)) for place in places])


def told(frame: pd.DataFrame, names: Sequence[str] = ("net", "total", "label_mass")) -> list[str]:
    """One text for each head: its classes and some figures."""
    texts = []
    for row in frame[["classes", "letter", *names]].itertuples(index=False):
        letter = f" {row.letter}" if row.letter else ""
        values = [f"{AXES[name].title} {getattr(row, name):+.3f}" for name in names]
        texts.append("\n".join([f"{row.classes}{letter}", *values]))
    return texts


def atlas_scatter(frame: pd.DataFrame, across: str, up: str, shade: str) -> go.Figure:
    """A mark for each head over two columns; its colour is its first class, or a third column.

    Every mark's text is its head's name. Symbols tell the first class as well.
    """
    figure = go.Figure()
    first = frame["classes"].str.split(", ").str[0]
    limits = _limits(frame[shade].to_numpy(float)) if shade != "class" else None
    for name, symbol, colour in ((NONE, "circle-open", OTHER), *zip(CLASSES, SYMBOLS, COLOURS, strict=True)):
        rows = frame[first == name]
        if rows.empty:
            continue
        marker: dict[str, object] = {"symbol": symbol, "size": 7 if name == NONE else 11, "opacity": 0.9}
        if limits is None:
            marker["color"] = colour
        else:
            marker |= {"color": rows[shade], "coloraxis": "coloraxis"}
        figure.add_scatter(
            x=rows[across],
            y=rows[up],
            mode="markers",
            name=name,
            text=rows.index,
            customdata=rows[["classes"]],
            marker=marker,
            unselected={"marker": {"opacity": 0.9}},
            hovertemplate=f"<b>%{{text}}</b> %{{customdata[0]}}<br>{plain(AXES[across].named)} %{{x:+.3f}}<br>"
            f"{plain(AXES[up].named)} %{{y:+.3f}}<extra></extra>",
        )
    title = f"Each head: {AXES[up].title} against {AXES[across].title}"
    finish(figure, title=title, x=AXES[across].named, y=AXES[up].named, height=520)
    legend_below(figure, -0.16)
    figure.update_layout(hovermode="closest")
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(zeroline=True, zerolinecolor=OTHER)
    if limits is not None:
        figure.update_layout(coloraxis=_colour_axis(shade, *limits))
    return figure


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The ends of a colour scale: around zero where there are values on both sides, else from zero."""
    largest = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    return (-largest if (values < 0).any() else 0.0), largest


def _colour_axis(shade: str, low: float, high: float) -> dict[str, object]:
    signed = low < 0
    scale = [[0, AGAINST], [0.5, "#BBBBBB"], [1, FOR]] if signed else "Viridis"
    bar = {"title": {"text": AXES[shade].named, "side": "right"}, "thickness": 12}
    return {"cmin": low, "cmax": high, "colorscale": scale, "colorbar": bar}
