"""Estimates compared with exact sweeps: which cells are swept, and how far the two agree."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.patching.budget import (
    Budget,
    SweepCost,
    Sweeps,
    rechecks_of,
    refuse_beyond,
    sweep_cost,
    within,
)
from backend.analyses.patching.pairs import Pair
from backend.analyses.tolerance import worst
from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    Cell,
    Pairing,
    Sweep,
    Wanted,
    all_cells,
    components_of,
    each_alone,
    estimate,
    experiments,
    recheck,
    run_sweep,
)
from backend.engine.sweep.source import Ids
from backend.models.families import Shape

LEADERS = 10
"""How many of the largest exact changes are looked for among the largest estimates."""


@dataclass(frozen=True)
class Verify:
    """Which cells are also swept: the `top` cells of a component by their estimates, and `random` of the others."""

    component: str
    top: int
    random: int
    seed: int
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Nominated:
    """Cells to verify. The first `top` are those with the largest estimates."""

    cells: list[Cell]
    top: int
    estimated: Float[Tensor, " cell"]


def chosen_verify(data: Mapping[str, Any], shape: Shape, tokens: int) -> Verify:
    """The value of `{"component": "z", "top": 20, ...}`. Raises RequestError for a component that the model lacks."""
    components = list(components_of(shape))
    if data["component"] not in components:
        raise RequestError(
            f"params.verify.component must be one of {', '.join(components)}, not {shown(data['component'])}."
        )
    positions = {"all": tuple(range(tokens)), "final": (tokens - 1,)}
    return Verify(**{**data, "positions": positions[data["positions"]]})


@dataclass(frozen=True)
class Verification:
    """The exact sweep of some cells whose effects were estimated.

    Attributes:
        pairs: their runs, all with the same clean prompt.
        budget: what the sweep may cost.
    """

    pairs: tuple[Pair, ...]
    direction: str
    verify: Verify
    budget: Budget

    @property
    def runs(self) -> list[tuple[Ids, Ids]]:
        """For each pair the base run and the source run."""
        found = [pair.runs(self.direction) for pair in self.pairs]
        return [(runs.base, runs.source) for runs in found]

    def ranked(self, instrument: Instrument, estimates: Tensor) -> "Ranked":
        """All cells, given the estimates of every cell of the component."""
        verify = self.verify
        cells = all_cells(verify.component, instrument.shape, verify.positions)
        values = estimates[..., list(verify.positions)].flatten()
        pairing = min((Pairing(*pair) for pair in self.runs), key=lambda pairing: pairing.first)
        run = experiments(instrument, pairing.base_ids, pairing, each_alone(verify.component, cells))
        sizes = values.abs().tolist()
        return Ranked(cells, values, sorted((each.number for each in run), key=lambda number: -sizes[number]))

    def refuse_costly(self, instrument: Instrument, ranked: "Ranked", progress: Progress) -> None:
        """Raise ResourceError for a sweep beyond its budget; the message says how many cells would fit.

        Raises Cancelled if `progress` does.
        """
        verify, budget = self.verify, self.budget

        def cost(asked: Verify) -> SweepCost:
            sets = each_alone(asked.component, ranked.nominated(asked).cells)
            estimates = [
                estimate(instrument, base, Pairing(base, source), sets, budget.bytes, progress)
                for base, source in self.runs
            ]
            return sweep_cost(instrument, Sweeps(len(self.pairs[0].clean.prompt.token_ids), estimates))

        def what_fits() -> str:
            fewer = replace(verify, top=min(verify.top, whole.cells), random=min(verify.random, whole.cells))
            while fewer.top + fewer.random > 1:
                fewer = replace(fewer, top=max(1, fewer.top // 2), random=fewer.random // 2)
                if within(budget, cost(fewer)):
                    return f"With top {fewer.top} and random {fewer.random} it would fit."
            return f"Not even one cell would fit: {cost(fewer).in_words}."

        whole = cost(verify)
        refuse_beyond(budget, whole, what_fits)

    def exact_changes(
        self, instrument: Instrument, cells: list[Cell], progress: Progress
    ) -> tuple[Float[Tensor, " cell"], float]:
        """The change of the metric with each cell patched alone, mean over the pairs, and the largest re-check error.

        Only the memory of the budget counts here; its time was checked by `refuse_costly`.
        """
        sets, total, errors = each_alone(self.verify.component, cells), torch.zeros(len(cells)), []
        for pair in self.pairs:
            runs, (clean, corrupted) = pair.runs(self.direction), pair.unpatched(instrument, progress)
            source, wanted = runs.run_source(instrument, progress), Wanted(pair.token_ids, pair.vocabulary)
            sweep = Sweep(runs.base, source, sets, wanted)
            swept = run_sweep(instrument, sweep, budget_bytes=self.budget.bytes, progress=progress)
            count = rechecks_of(len(self.pairs))
            errors.append(recheck(instrument, sweep, swept, count=count, progress=progress))
            base = corrupted if self.direction == "denoise" else clean
            total += pair.values(instrument, swept.logits, swept.logsumexp) - base
        return total / len(self.pairs), worst(errors)


@dataclass(frozen=True)
class Ranked:
    """Every cell of a component at some positions.

    Attributes:
        estimated: its estimated change of the metric.
        numbers: indices of the cells that can change the final logits, the largest estimate first. The others are
            always zero.
    """

    cells: list[Cell]
    estimated: Float[Tensor, " cell"]
    numbers: list[int]

    def nominated(self, verify: Verify) -> Nominated:
        """The cells to sweep: the first `top`, then `random` others."""
        top, others = self.numbers[: verify.top], sorted(self.numbers[verify.top :])
        drawn = random.Random(verify.seed).sample(others, min(verify.random, len(others)))
        chosen = top + drawn
        return Nominated([self.cells[number] for number in chosen], len(top), self.estimated[chosen])


def agreement(estimated: Float[Tensor, " cell"], exact: Float[Tensor, " cell"]) -> dict[str, Any]:
    """Rank and linear correlation, and how many of the largest exact changes are among the largest estimates.

    A correlation is None if there are fewer than 3 cells, or if all values are equal.
    """
    both = pd.DataFrame({"estimated": estimated.numpy(), "exact": exact.numpy()})
    largest = both.abs().rank(ascending=False, method="first") <= LEADERS
    return {
        **{method: _correlation(both, method) for method in ("spearman", "pearson")},
        "leaders": min(LEADERS, len(both)),
        "leaders_found": int((largest["estimated"] & largest["exact"]).sum()),
    }


def _correlation(both: pd.DataFrame, method: str) -> float | None:
    if len(both) < 3 or (both.nunique() < 2).any():
        return None
    return float(both.corr(method=method).loc["estimated", "exact"])
