"""A figure as files to take away: data, code, a page of its own, and pictures of print size."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio

from backend.contract.errors import ResourceError

WIDTH, HEIGHT, SCALE = 1000, 560, 3
"""Of a picture in pixels, and how many pixels PNG has for each: 3000 x 1680, 300 dpi at 25 cm."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = "LETTERHEADS_CHROMIUM"
COLUMNS = ("x", "y", "z", "text", "error_y", "error_x")
NO_BROWSER = (
    f"PNG and SVG need Chromium. Install it (apt-get install chromium), or set {CHROMIUM} to its path."
)
SNIPPET = '''"""{title}"""

import json

import plotly.io

from backend.contract.request import Request
from backend.service import connect

# Computes the result again, or finds it saved.
client = connect()
for request in json.loads({requests!r}):
    job = client.submit(Request.from_json(request))
    while not client.wait(job, 1.0).finished:
        pass
    result = client.result(job)
    print({{name: result[name].shape for name in result.arrays}})

# Draws the figure from the numbers that the page showed.
figure = plotly.io.from_json({figure!r})
figure.show()
'''


def printed(figure: go.Figure) -> go.Figure:
    """A copy for paper: white, of its own height."""
    copied = go.Figure(figure).update_layout(height=None, width=None, template="plotly_white")
    return copied.update_layout(margin={"l": 24, "r": 24, "b": 24}, title={"x": 0.02})


def csv_of(figure: go.Figure) -> str:
    """What the figure's traces hold, a row for each mark or cell; `trace` is the name in the legend."""
    frames = [_rows(trace) for trace in figure.data]
    return str(pd.concat(frames, ignore_index=True).to_csv(index=False)) if frames else ""


def snippet_of(figure: go.Figure, title: str, requests: Sequence[Mapping[str, Any]]) -> str:
    """A Python program that computes the figure's result again, and draws the figure."""
    quoted = title.replace("\\", "\\\\").replace('"', "'")
    return SNIPPET.format(title=quoted, requests=json.dumps(requests), figure=pio.to_json(printed(figure)))


def html_of(figure: go.Figure) -> str:
    """The figure as one HTML file that needs no other file and no network."""
    return str(printed(figure).to_html(include_plotlyjs=True, full_html=True, default_height="96vh"))


def image_of(figure: go.Figure, kind: str) -> bytes:
    """The figure as `png` or `svg`, drawn by the Chromium of this machine.

    Raises ResourceError where there is none, or where it fails.
    """
    path = chromium()
    if path is None:
        raise ResourceError(NO_BROWSER)
    import kaleido  # only here: a page that nobody takes a picture from does without

    try:
        drawn: bytes = kaleido.calc_fig_sync(
            printed(figure),
            opts={"format": kind, "width": WIDTH, "height": HEIGHT, "scale": SCALE if kind == "png" else 1},
            kopts={"path": path, "mathjax": False, "timeout": 90},
        )
    except Exception as error:  # whatever a browser that does not start raises
        raise ResourceError(
            f"Chromium at {path} did not draw the picture ({type(error).__name__}). Set {CHROMIUM} to another one."
        ) from error
    return drawn


@cache
def chromium() -> str | None:
    """The path of a Chromium on this machine; None where there is none."""
    named = os.environ.get(CHROMIUM, "")
    return named or next(filter(None, map(shutil.which, BROWSERS)), None)


def _rows(trace: Any) -> pd.DataFrame:
    """One trace's marks; of a heatmap its cells."""
    name = trace.name or trace.type
    if trace.type == "heatmap":
        grid = pd.DataFrame(
            trace.z, index=_ticks(trace.y, len(trace.z)), columns=_ticks(trace.x, len(trace.z[0]))
        )
        long = (
            grid.rename_axis("y").rename_axis("x", axis=1).stack(future_stack=True).rename("z").reset_index()
        )
        return long[["x", "y", "z"]].assign(trace=name)
    columns: dict[str, Any] = {}
    for column in COLUMNS:
        values = getattr(trace, column, None)
        if column.startswith("error") and values is not None:
            for end in ("array", "arrayminus"):
                if values[end] is not None:
                    columns[f"{column} {end}"] = list(values[end])
        elif values is not None and not isinstance(values, str):
            columns[column] = list(values)
    longest = max(map(len, columns.values()), default=0)
    kept = {name: values for name, values in columns.items() if len(values) == longest}
    return pd.DataFrame(kept).assign(trace=name)


def _ticks(given: Any, count: int) -> list[Any]:
    return list(range(count)) if given is None else list(given)
