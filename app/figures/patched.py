"""What a patch did: zero where it changed nothing, whichever run it was put into. Exact values and estimates."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.contract.result import Result

Values = NDArray[np.float32]
SHOWN = {"recovered": "Share of the difference", "values": "Change of the metric"}
"""What can be shown of a patch, by the names of the result's arrays."""


@dataclass(frozen=True)
class Effects:
    """What is known of every cell, with the component's axes: layer, head or kv head where it has them, position.

    Attributes:
        exact: NaN where a cell has not been run, or cannot be.
        estimate: to first order, from gradients; all NaN where there is none.
        spread: the standard deviation of `exact` over the corrupted prompts, where several were drawn.
        positions, tokens, roles: which of the prompt's tokens the last axis is, and what they are there for.
        whole: whether nothing more will become known, so that NaN in `exact` means that it cannot be patched.
    """

    exact: Values
    estimate: Values
    spread: Values | None
    positions: tuple[int, ...]
    tokens: tuple[str, ...]
    roles: tuple[str, ...]
    whole: bool

    @property
    def known(self) -> Values:
        """The exact value where there is one, else the estimate; NaN where there is neither."""
        return self.exact if self.whole else np.where(np.isnan(self.exact), self.estimate, self.exact)

    @property
    def largest(self) -> float:
        """The size of the largest known effect, for the colours' scale; 1 where none differs from zero."""
        return float(np.nan_to_num(np.abs(self.known)).max(initial=0)) or 1.0

    def strongest_layer(self, place: int) -> int:
        """At one place of the last axis, where there is no other axis than the layers."""
        return int(np.nan_to_num(np.abs(self.known[:, place])).argmax())

    def at(self, place: int) -> "Effects":
        """Those at one place of the last axis, which stays away."""
        return replace(
            self,
            exact=self.exact[..., place],
            estimate=self.estimate[..., place],
            spread=None if self.spread is None else self.spread[..., place],
            positions=(self.positions[place],),
            tokens=(self.tokens[place],),
            roles=(self.roles[place],),
        )

    def since(self, first: int) -> "Effects":
        """Those from this token of the prompt on."""
        kept = [place for place, position in enumerate(self.positions) if position >= first]
        return replace(
            self,
            exact=self.exact[..., kept],
            estimate=self.estimate[..., kept],
            spread=None if self.spread is None else self.spread[..., kept],
            positions=tuple(self.positions[place] for place in kept),
            tokens=tuple(self.tokens[place] for place in kept),
            roles=tuple(self.roles[place] for place in kept),
        )

    def strongest(self) -> "Effects":
        """For each layer and position those of the head that does most; the axis in the middle stays away.

        Exact only where every head has been run: one that has not may do more.
        """
        best = np.nan_to_num(np.abs(self.known)).argmax(1)[:, None]

        def taken(values: Values) -> Values:
            return np.take_along_axis(values, best, 1)[:, 0]

        open_cells = np.isnan(self.exact).any(1) & (not self.whole)
        return replace(
            self,
            exact=np.where(open_cells, np.float32(np.nan), taken(self.exact)),
            estimate=taken(self.known),
            spread=None if self.spread is None else taken(self.spread),
        )


def effects_of(
    result: Result | None,
    estimate: Result | None,
    component: str,
    direction: str,
    where: str,
    shown: str,
    *,
    whole: bool,
) -> Effects | None:
    """What both results tell; None while there is neither. `estimate` is one of attribution patching.

    Where there is an estimate each token stands for itself in the other prompt, so that nothing can change before the
    first token that differs: what comes before it is left out.

    `where` is "final" or "all", the positions asked for. `shown` is "values", the metric's change in its own unit, or
    "recovered", as a share of the difference between both runs: what denoising brings back, or what noising takes away.
    """
    if result is None:
        if estimate is None:
            return None
        guess = estimated(estimate, component, direction, shown)
        tokens, roles = estimate.scalars["tokens"], estimate.scalars["roles"]
        positions = tuple(range(len(tokens)))[-1 if where == "final" else 0 :]
        guess = guess[..., list(positions)]
        return Effects(
            exact=np.full_like(guess, np.nan),
            estimate=guess,
            spread=None,
            positions=positions,
            tokens=tuple(tokens[place] for place in positions),
            roles=tuple(roles[place] for place in positions),
            whole=False,
        ).since(estimate.scalars["first_difference"])
    exact = effect(result, direction, shown)
    positions = tuple(result.scalars["positions"])
    guess = np.full_like(exact, np.nan)
    if estimate is not None:
        guess = estimated(estimate, component, direction, shown)[..., list(positions)]
    spread = f"{shown}_spread"
    found = Effects(
        exact=exact,
        estimate=guess,
        spread=result[spread] if spread in result.arrays else None,
        positions=positions,
        tokens=result.ticks["position"],
        roles=tuple(result.scalars["roles"][place] for place in positions),
        whole=whole,
    )
    return found if estimate is None else found.since(estimate.scalars["first_difference"])


def effect(result: Result, direction: str, shown: str) -> Values:
    """The patched run against the run that was patched, with the axes of the result's arrays; `shown` as above."""
    if shown == "values":
        base = result.scalars["corrupted" if direction == "denoise" else "clean"]
        return np.asarray(result["values"] - np.float32(base), np.float32)
    recovered = result["recovered"]
    return recovered if direction == "denoise" else np.asarray(1 - recovered, np.float32)


def estimated(result: Result, component: str, direction: str, shown: str) -> Values:
    """As `effect`, from the changes of the metric that attribution patching estimates for all positions."""
    change = result[component]
    if shown == "values":
        return change
    difference = result.scalars["clean"] - result.scalars["corrupted"]
    if difference == 0:
        return np.full_like(change, np.nan)
    return np.asarray(change / np.float32(difference if direction == "denoise" else -difference), np.float32)


def effect_name(direction: str, shown: str) -> str:
    """What `effect` is called in a title."""
    if shown == "values":
        return "Change of the metric"
    return "Share recovered" if direction == "denoise" else "Share lost"
