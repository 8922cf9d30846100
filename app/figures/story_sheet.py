"""The story as one file to take away: a web page that needs no other file, and its figures as a table."""

import csv
import html
import io
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from app.figures.waterfall import Margin
from backend.contract.head import HeadRef

STYLE = (
    "body{font:16px/1.5 Inter,system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f27}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f3f4f7;padding:.8rem}"
)
Section = tuple[str, go.Figure | None]
"""A sentence and the picture under it, if it has one."""


def story_html(question: str, sections: Sequence[Section], source: str) -> str:
    """A whole web page. `question` and `source` (model, checks, address) are texts of several lines.

    It holds plotly's own script, so that it opens without a network. Whatever a user typed is escaped.
    """
    parts = [f"<pre>{html.escape(question)}</pre>"]
    script = True
    for told, figure in sections:
        parts.append(f"<p>{html.escape(told)}</p>")
        if figure is not None:
            drawn = go.Figure(figure).update_layout(template="plotly_white")
            parts.append(drawn.to_html(full_html=False, include_plotlyjs=script))
            script = False
    parts.append(f"<pre>{html.escape(source)}</pre>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Letterheads: one question</title>'
        f"<style>{STYLE}</style></head><body><h1>One question, the whole story</h1>{''.join(parts)}</body></html>"
    )


def margin_csv(margin: Margin, said: str) -> str:
    """Every part of the margin: a line for each head, each MLP, the embedding and the biases; the last is their sum."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["part", f"logits for {said} minus the mean of the other letters"])
    writer.writerows(_lines(margin))
    return text.getvalue()


def _lines(margin: Margin) -> Iterable[tuple[str, float]]:
    for layer, heads in enumerate(margin.heads):
        for head, value in enumerate(heads):
            yield str(HeadRef(layer, head)), float(value)
    for layer, value in enumerate(margin.mlps):
        yield f"MLP {layer}", float(value)
    yield "embedding", margin.embedding
    yield "biases", margin.bias
    yield "margin", margin.sum
