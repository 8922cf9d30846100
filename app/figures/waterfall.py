"""What writes the margin of the letter said: parts that add up to the model's own logits, as a waterfall."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.net import Node, net_effect, ranked
from app.figures.style import AGAINST, FOR, finish
from backend.contract.result import Result

NAMED = 8


@dataclass(frozen=True)
class Margin:
    """The margin of one letter: its logit minus the mean of the other letters'.

    Attributes:
        heads, mlps: net effects in logits, `[layer, head]` and `[layer]`.
        embedding, bias: what enters the stack, and what biases add.
        own: the margin of the model's own logits. After a soft cap or a scaling it is not what the parts add up to.
    """

    heads: NDArray[np.float32]
    mlps: NDArray[np.float32]
    embedding: float
    bias: float
    own: float

    @classmethod
    def of(cls, attribution: Result, label_logits: NDArray[np.float32], letter: int) -> "Margin":
        """From a result of `attribution`, the model's `label_logits[label]`, and the letter's index."""
        net = {name: net_effect(attribution[name], letter) for name in ("heads", "mlps", "embedding", "bias")}
        return cls(
            net["heads"],
            net["mlps"],
            float(net["embedding"]),
            float(net["bias"]),
            float(net_effect(label_logits, letter)),
        )

    @property
    def sum(self) -> float:
        """What all parts add up to."""
        return (
            float(self.heads.sum(dtype=np.float64) + self.mlps.sum(dtype=np.float64))
            + self.embedding
            + self.bias
        )

    def named(self, count: int = NAMED) -> list[Node]:
        """The heads and MLPs furthest from zero, those that write most for the letter first."""
        return sorted(ranked(self.heads, self.mlps, count), key=lambda node: -node.value)

    def steps(self, count: int = NAMED) -> list[tuple[str, float]]:
        """Names and values, which add up to `sum`: the named nodes, then what is left of each kind."""
        nodes = self.named(count)
        heads = [node.value for node in nodes if node.head is not None]
        mlps = [node.value for node in nodes if node.head is None]
        rest = (
            (
                f"{self.heads.size - len(heads)} other heads",
                float(self.heads.sum(dtype=np.float64)) - sum(heads),
            ),
            (f"{self.mlps.size - len(mlps)} other MLPs", float(self.mlps.sum(dtype=np.float64)) - sum(mlps)),
            ("embedding", self.embedding),
            ("biases", self.bias),
        )
        named = [(node.name, node.value) for node in nodes]
        return [*named, *((name, value) for name, value in rest if value != 0)]


def waterfall(margin: Margin, said: str) -> go.Figure:
    """A bar for each step from zero to the margin; the last bar is the margin itself."""
    steps = margin.steps()
    names = [*(name for name, _ in steps), f"margin of {said}"]
    values = [value for _, value in steps]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=names,
            x=[*values, margin.sum],
            measure=[*("relative" for _ in steps), "total"],
            text=[f"{value:+.2f}" for value in (*values, margin.sum)],
            textposition="outside",
            cliponaxis=False,
            increasing={"marker": {"color": FOR}},
            decreasing={"marker": {"color": AGAINST}},
            totals={"marker": {"color": "#8C8C8C"}},
            connector={"line": {"width": 1, "color": "rgba(127,127,127,.6)"}},
            customdata=[*values, margin.sum],
            hovertemplate="%{y}: %{customdata:+.4f} logits<extra></extra>",
        )
    )
    finish(
        figure,
        title=f"What adds up to the margin of {said}",
        x=f"logits: {said} minus the mean of the other letters",
        y="",
        height=110 + 27 * len(names),
    )
    ends = np.concatenate([[0.0], np.cumsum(values)])
    low, high = float(ends.min()), float(ends.max())
    room = 0.14 * max(high - low, 1e-6)
    figure.update_xaxes(range=[low - room, high + room], zeroline=True)
    figure.update_yaxes(autorange="reversed")
    return figure
