"""Patching over a bank: the cells that do most, with their intervals."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from app.figures.style import AGAINST, FOR, Numbers, error_bars, finish
from backend.contract.components import COMPONENTS
from backend.contract.head import HeadRef
from backend.contract.result import Result

MOST = 12


@dataclass(frozen=True)
class PatchedBank:
    """A mean over questions for each cell at one role, `[layer, head]`, or of all roles, `[layer, role]`.

    Attributes:
        value, low, high: shares, or changes of the metric in `unit`.
        p: see `sign_flip_p` of the backend.
        names: the cells' names, in the same shape.
    """

    value: Numbers
    low: Numbers
    high: Numbers
    p: Numbers
    names: list[list[str]]
    unit: str

    def name(self, cell: tuple[int, int]) -> str:
        """A cell's name."""
        return self.names[cell[0]][cell[1]]

    @property
    def strongest(self) -> list[tuple[int, int]]:
        """The cells furthest from zero, the first the furthest; none that is NaN."""
        sizes = np.nan_to_num(np.abs(self.value))
        order = np.argsort(-sizes, axis=None, kind="stable")[:MOST]
        cells = [divmod(int(number), sizes.shape[1]) for number in order]
        return [cell for cell in cells if sizes[cell] > 0]


def patched_bank(result: Result, shown: str, role: str) -> PatchedBank:
    """What is drawn: shares with `shown` "recovered", else changes from the run that is patched.

    A component with heads is shown at `role`.
    """
    component, roles = COMPONENTS[result.scalars["component"]], result.ticks["role"]
    denoise = result.scalars["direction"] == "denoise"
    name = "recovered" if shown == "recovered" else "values"
    ends = [np.asarray(result[f"{name}{end}"], np.float32) for end in ("", "_low", "_high")]
    if shown == "recovered":
        value, low, high = ends if denoise else [1 - each for each in (ends[0], ends[2], ends[1])]
    else:
        base = result.scalars["corrupted" if denoise else "clean"]
        value, low, high = [np.asarray(each - base, np.float32) for each in ends]
    p = result["p_value"]
    unit = "share" if shown == "recovered" else result.arrays["values"].unit
    if component.heads is None:
        names = [[f"layer {layer}, {one}" for one in roles] for layer in range(len(value))]
        return PatchedBank(value, low, high, p, names, unit)
    at = roles.index(role)
    layers, heads = value.shape[:2]
    texts = [
        [
            str(HeadRef(layer, head)) if component.heads == "head" else f"layer {layer}, kv head {head}"
            for head in range(heads)
        ]
        for layer in range(layers)
    ]
    value, low, high, p = (each[..., at] for each in (value, low, high, p))
    return PatchedBank(value, low, high, p, texts, unit)


def strongest_bars(bank: PatchedBank, title: str) -> go.Figure:
    """The cells that do most as bars with 95 % intervals; orange helps, blue works against."""
    cells = bank.strongest[::-1]
    value, low, high = (
        np.array([each[cell] for cell in cells], np.float32) for each in (bank.value, bank.low, bank.high)
    )
    figure = go.Figure()
    bars = None if np.isnan(low).any() else error_bars(value, low, high)
    figure.add_bar(
        x=value,
        y=[bank.name(cell) for cell in cells],
        orientation="h",
        marker={"color": [FOR if each > 0 else AGAINST for each in value]},
        error_x=bars,
        customdata=[float(bank.p[cell]) for cell in cells],
        hovertemplate=f"%{{y}}: %{{x:+.3f}} {bank.unit}<br>p = %{{customdata:.4f}}<extra></extra>",
    )
    return finish(figure, title=title, x=bank.unit, y="", height=60 + 26 * max(4, len(cells)))
