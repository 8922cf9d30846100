"""The effect of each patch: 0 means that it changed nothing, in both directions. Exact values and estimates.

Example: the metric is 3 in the clean run, 1 in the corrupted run and 2 in a patched run. In denoising the patch changed
the metric by +1 and brought back 0.5 of the difference; in noising it changed the metric by -1 and took away 0.5.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.figures.scale import Scale
from backend.contract.result import Result

Values = NDArray[np.float32]
SHOWN = {"recovered": "Share of the difference", "values": "Change of the metric"}
"""What a map can show of a patch, by the names of the result's arrays."""


@dataclass(frozen=True)
class Effects:
    """The effects of all cells, with the component's axes: layer, head or kv head if it has them, position.

    Attributes:
        exact: the swept effects; NaN for a cell that has not been swept, or cannot be patched.
        estimate: first-order estimates from gradients; all NaN if there are none.
        spread: the standard deviation of `exact` over the corrupted prompts; None for one prompt.
        scale: the reference for their colours. It has the sign of effects that bring the clean answer back, or take
            it away.
        positions, tokens, roles: the prompt's tokens along the last axis.
        complete: whether the sweep is finished. Then NaN in `exact` means that the cell cannot be patched.
    """

    exact: Values
    estimate: Values
    spread: Values | None
    scale: Scale
    positions: tuple[int, ...]
    tokens: tuple[str, ...]
    roles: tuple[str, ...]
    complete: bool

    @property
    def known(self) -> Values:
        """The exact value if there is one, else the estimate; NaN if there is neither."""
        return self.exact if self.complete else np.where(np.isnan(self.exact), self.estimate, self.exact)

    @property
    def full(self) -> float:
        """Where the colour scale ends."""
        return self.scale.end(self.known)

    def strongest_layer(self, index: int) -> int:
        """The layer with the largest effect at one index of the last axis; for effects without heads."""
        return int(np.nan_to_num(np.abs(self.known[:, index])).argmax())

    def at(self, index: int) -> "Effects":
        """The effects at one index of the last axis, without that axis."""
        return replace(
            self,
            exact=self.exact[..., index],
            estimate=self.estimate[..., index],
            spread=None if self.spread is None else self.spread[..., index],
            positions=(self.positions[index],),
            tokens=(self.tokens[index],),
            roles=(self.roles[index],),
        )

    def since(self, first: int) -> "Effects":
        """The effects at the positions from `first` on."""
        later = [index for index, position in enumerate(self.positions) if position >= first]
        return replace(
            self,
            exact=self.exact[..., later],
            estimate=self.estimate[..., later],
            spread=None if self.spread is None else self.spread[..., later],
            positions=tuple(self.positions[index] for index in later),
            tokens=tuple(self.tokens[index] for index in later),
            roles=tuple(self.roles[index] for index in later),
        )

    def strongest(self) -> "Effects":
        """For each layer and position the effect of the strongest head, without the axis of heads.

        It is exact only if every head has been swept: one that has not may have a larger effect.
        """
        best = np.nan_to_num(np.abs(self.known)).argmax(1)[:, None]

        def taken(values: Values) -> Values:
            return np.take_along_axis(values, best, 1)[:, 0]

        open_cells = np.isnan(self.exact).any(1) & (not self.complete)
        return replace(
            self,
            exact=np.where(open_cells, np.float32(np.nan), taken(self.exact)),
            estimate=taken(self.known),
            spread=None if self.spread is None else taken(self.spread),
        )


@dataclass(frozen=True)
class View:
    """Which effects are shown.

    Attributes:
        where: "final" or "all", the positions that were asked for.
        shown: a key of `SHOWN`. "values" is the metric's change in its own unit. "recovered" is the change as a share
            of the difference between both runs: what denoising brings back, or what noising takes away.
    """

    component: str
    direction: str
    where: str
    shown: str


def effects_of(
    result: Result | None,
    estimate: Result | None,
    view: View,
    *,
    complete: bool,
) -> Effects | None:
    """The effects in a result of patching and one of attribution patching; None if there is neither.

    With an estimate, each position is matched with the same position of the other prompt. Cells before the first
    difference are then always zero, and left out.
    """
    if result is None:
        if estimate is None:
            return None
        guess = estimated(estimate, view.component, view.direction, view.shown)
        tokens, roles = estimate.scalars["tokens"], estimate.scalars["roles"]
        positions = tuple(range(len(tokens)))[-1 if view.where == "final" else 0 :]
        guess = guess[..., list(positions)]
        return Effects(
            exact=np.full_like(guess, np.nan),
            estimate=guess,
            spread=None,
            scale=scale_of(estimate, view),
            positions=positions,
            tokens=tuple(tokens[position] for position in positions),
            roles=tuple(roles[position] for position in positions),
            complete=False,
        ).since(estimate.scalars["first_difference"])
    exact = effect(result, view.direction, view.shown)
    positions = tuple(result.scalars["positions"])
    guess = np.full_like(exact, np.nan)
    if estimate is not None:
        guess = estimated(estimate, view.component, view.direction, view.shown)[..., list(positions)]
    spread = f"{view.shown}_spread"
    found = Effects(
        exact=exact,
        estimate=guess,
        spread=result[spread] if spread in result.arrays else None,
        scale=scale_of(result, view),
        positions=positions,
        tokens=result.ticks["position"],
        roles=tuple(result.scalars["roles"][position] for position in positions),
        complete=complete,
    )
    return found if estimate is None else found.since(estimate.scalars["first_difference"])


def scale_of(result: Result, view: View) -> Scale:
    """The reference for colours: a patch with the full effect."""
    runs = Scale.of_runs(result)
    if view.shown == "recovered":
        return Scale(1.0, runs.noise / abs(runs.reference) if runs.reference else 1.0)
    return runs if view.direction == "denoise" else replace(runs, reference=-runs.reference)


def effect(result: Result, direction: str, shown: str) -> Values:
    """The patched run compared with the run that was patched, with the axes of the result's arrays."""
    if shown == "values":
        base = result.scalars["corrupted" if direction == "denoise" else "clean"]
        return np.asarray(result["values"] - np.float32(base), np.float32)
    recovered = result["recovered"]
    return recovered if direction == "denoise" else np.asarray(1 - recovered, np.float32)


def estimated(result: Result, component: str, direction: str, shown: str) -> Values:
    """The same as `effect`, from the changes that attribution patching estimates, for all positions."""
    change = result[component]
    if shown == "values":
        return change
    difference = result.scalars["clean"] - result.scalars["corrupted"]
    if difference == 0:
        return np.full_like(change, np.nan)
    return np.asarray(change / np.float32(difference if direction == "denoise" else -difference), np.float32)


def effect_name(direction: str, shown: str) -> str:
    """The name of `effect` in a title."""
    if shown == "values":
        return "Change of the metric"
    return "Share recovered" if direction == "denoise" else "Share lost"
