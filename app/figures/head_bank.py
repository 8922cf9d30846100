"""One head over a bank: where it looks, by kind of token, and what it writes, by letter."""

import plotly.graph_objects as go

from app.figures.style import COLOURS, OTHER, error_bars, finish, legend_above
from backend.contract.head import HeadRef
from backend.contract.result import Result


def kind_bars(result: Result, head: HeadRef) -> go.Figure:
    """A bar for each kind of token that the bank's prompts have, with its 95 % interval."""
    place = (slice(None), head.layer, head.head)
    value, low, high = (result[f"roles{end}"][place] for end in ("", "_low", "_high"))
    used = [number for number in range(len(value)) if result["roles"][number].any()]
    figure = go.Figure(
        go.Bar(
            x=value[used],
            y=[result.ticks["kind"][number] for number in used],
            orientation="h",
            marker={"color": COLOURS[0]},
            error_x=error_bars(value[used], low[used], high[used], shares=True),
            hovertemplate="%{y} %{x:.3f}<extra></extra>",
        )
    )
    finish(
        figure, title=f"Where {head} looks, mean over the bank", x="share of its attention", y="", height=380
    )
    figure.update_yaxes(autorange="reversed")
    return figure


def letter_bars(result: Result, head: HeadRef) -> go.Figure:
    """For each letter two bars: the net effect on it where it is right, and where another letter is."""
    figure = go.Figure()
    for name, text, colour, pattern in (
        ("net_right", "where it is right", COLOURS[0], ""),
        ("net_wrong", "where another is right", OTHER, "/"),
    ):
        value, low, high = (result[f"{name}{end}"][:, head.layer, head.head] for end in ("", "_low", "_high"))
        figure.add_bar(
            x=list(result.ticks["label"]),
            y=value,
            name=text,
            marker={"color": colour, "pattern": {"shape": pattern}},
            error_y=error_bars(value, low, high),
            hovertemplate=f"%{{x}} {text}: %{{y:+.3f}} logits<extra></extra>",
        )
    finish(
        figure,
        title=f"Net effect of {head} on each letter, mean over the bank",
        x="letter",
        y="net effect, logits",
        height=380,
    )
    legend_above(figure)
    return figure
