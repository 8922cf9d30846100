"""One small menu under each figure: the figure and its data as files. Nothing is made before a click."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.figures.export import NO_BROWSER, chromium, csv_of, html_of, image_of, snippet_of
from backend.contract.result import Result

Make = Callable[[], go.Figure]
BARE = {"displayModeBar": False}
"""Plotly's own toolbar covers titles and legends; what it offers stands in the menu."""


def show_figure(figure: go.Figure, *results: Result, key: str, alt: str, **options: Any) -> None:
    """Draw a chart made from the results, with its menu. `options` are those of `st.plotly_chart`."""
    st.plotly_chart(figure, key=key, alt=alt, config=BARE, **options)
    if all(map(checked, results)):
        take_away(lambda: figure, *results, key=key, title=alt)


def take_away(make: Make, *results: Result, key: str, title: str) -> None:
    """The menu of a figure that `make` draws once it is asked for."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-").lower()[:60] or "figure"
    with st.popover("Take it away", icon=":material/download:", type="tertiary", key=f"take {key}"):
        for text, kind, mime, data in files(make, results, title):
            needs = kind in ("png", "svg") and chromium() is None
            st.download_button(
                text,
                data,
                f"{name}.{kind}",
                mime,
                key=f"take {key} {kind}",
                on_click="ignore",
                type="tertiary",
                disabled=needs,
            )
        if chromium() is None:
            st.caption(NO_BROWSER)


def files(
    make: Make, results: Sequence[Result], title: str
) -> list[tuple[str, str, str, Callable[[], str | bytes]]]:
    """What the menu offers: its text, the file's ending and type, and the function that makes it."""
    requests = [dict(result.request) for result in results]
    asked = requests[0] if len(requests) == 1 else requests
    return [
        ("Picture (PNG)", "png", "image/png", lambda: image_of(make(), "png")),
        ("Picture (SVG)", "svg", "image/svg+xml", lambda: image_of(make(), "svg")),
        ("Data (CSV)", "csv", "text/csv", lambda: csv_of(make())),
        ("Request (JSON)", "json", "application/json", lambda: json.dumps(asked, indent=2)),
        ("Program (Python)", "py", "text/x-python", lambda: snippet_of(make(), title, requests)),
        ("Page for any browser (HTML)", "html", "text/html", lambda: html_of(make())),
    ]


def checked(result: Result | None) -> Result | None:
    """The result if it carries the figures of its checks: what is still being checked is not given away."""
    return result if result is not None and result.checks else None
