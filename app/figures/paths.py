"""Paths between nodes: how much of a node's effect goes along each way into another."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.figures.net import Node
from app.figures.scale import Scale
from app.figures.style import COLOURS, OTHER, finish, legend_above
from backend.contract.head import HeadRef
from backend.contract.result import Result


def paths_frame(result: Result) -> pd.DataFrame:
    """A row for each node at the other end, by its name, a column for each input; NaN where there is no path.

    Inputs are the receiver's `query`, `key` and `value`, or `mlp`, what an MLP reads. In the metric's unit.
    """
    inputs = result.ticks["input"]
    heads = result["heads"]
    names = [str(HeadRef(layer, head)) for layer, head in np.ndindex(heads.shape[1:])]
    frames = [pd.DataFrame(heads.reshape(len(inputs), -1).T, index=names, columns=list(inputs))]
    if result.scalars["mode"] == "sender":
        mlps = result["receiver_mlps"]
        frames.append(pd.DataFrame({"mlp": mlps}, index=_mlp_names(len(mlps))))
    else:
        mlps = result["mlps"].T
        frames.append(pd.DataFrame(mlps, index=_mlp_names(len(mlps)), columns=list(inputs)))
        frames.append(pd.DataFrame(result["embedding"][None], index=["embedding"], columns=list(inputs)))
    return pd.concat(frames)


def strongest_paths(frame: pd.DataFrame, count: int) -> list[tuple[Node, str]]:
    """The `count` paths furthest from zero, each as the node at the other end, with its effect, and the input."""
    paths = frame.stack().dropna()
    order = paths.abs().nlargest(count).index
    return [(Node.named(name, float(paths[name, at])), at) for name, at in order]


def path_bars(frame: pd.DataFrame, unit: str, title: str, scale: Scale) -> go.Figure:
    """The paths of `paths_frame` whose other end is an MLP, or the embedding, drawn as the layer before the first.

    At each layer there is a bar for each input. The axis shows at least what the scale paints in full colour.
    """
    rows = frame[~frame.index.str.startswith("L")].dropna(axis="columns", how="all")
    layers = [Node.named(name, 0.0).layer for name in rows.index]
    step = 1 + len(layers) // 10
    ticks = range(step - 1, len(layers), step)
    figure = go.Figure()
    for number, at in enumerate(rows.columns):
        figure.add_bar(
            x=[-1 if layer is None else layer for layer in layers],
            y=rows[at],
            name=at,
            marker_color=COLOURS[number],
            customdata=rows.index,
            hovertemplate=f"%{{customdata}}, {at}: %{{y:+.4f}} {unit}<extra></extra>",
        )
    finish(figure, title=title, x="MLP of layer", y=unit, height=380)
    legend_above(figure)
    figure.update_layout(showlegend=len(rows.columns) > 1, bargap=0.15)
    figure.update_xaxes(tickvals=[-1, *ticks], ticktext=["emb.", *map(str, ticks)], tickangle=0)
    figure.update_yaxes(zeroline=True, zerolinecolor=OTHER, exponentformat="power")
    end = 1.05 * scale.end(rows.to_numpy(np.float32))
    figure.update_yaxes(range=[-end, end])
    return figure


def _mlp_names(layers: int) -> list[str]:
    return [f"MLP {layer}" for layer in range(layers)]
