"""Estimates held against exact sweeps: which cells are swept, and how far the two agree."""

import random
from collections.abc import Mapping, Sequence
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
"""How many of the largest are compared: whether the estimates name the cells that matter most."""


@dataclass(frozen=True)
class Verify:
    """Which cells are swept too: the `top` of a component by their estimates, and `random` others."""

    component: str
    top: int
    random: int
    seed: int
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Nominated:
    """Cells to verify; the first `top` are those with the largest estimates."""

    cells: list[Cell]
    top: int
    estimated: Float[Tensor, " cell"]


def chosen_verify(data: Mapping[str, Any], shape: Shape, tokens: int) -> Verify:
    """That of `{"component": "z", "top": 20, ...}`. Raises RequestError for a component that the model lacks."""
    components = list(components_of(shape))
    if data["component"] not in components:
        raise RequestError(
            f"params.verify.component must be one of {', '.join(components)}, not {shown(data['component'])}."
        )
    places = {"all": tuple(range(tokens)), "final": (tokens - 1,)}
    return Verify(**{**data, "positions": places[data["positions"]]})


def nominated(
    instrument: Instrument, runs: Sequence[tuple[Ids, Ids]], verify: Verify, estimates: Tensor
) -> Nominated:
    """Only cells that can change something: of the others everybody knows that it is nothing.

    `runs` are the pairs' base and source, `estimates` of all cells of the component.
    """
    return _ranked(instrument, runs, verify, estimates).nominated(verify)


@dataclass(frozen=True)
class _Ranked:
    """Every cell of a component, their estimates, and the numbers of those that can change something, largest first."""

    cells: list[Cell]
    values: Float[Tensor, " cell"]
    numbers: list[int]

    def nominated(self, verify: Verify) -> Nominated:
        top, others = self.numbers[: verify.top], sorted(self.numbers[verify.top :])
        drawn = random.Random(verify.seed).sample(others, min(verify.random, len(others)))
        chosen = top + drawn
        return Nominated([self.cells[number] for number in chosen], len(top), self.values[chosen])


def _ranked(
    instrument: Instrument, runs: Sequence[tuple[Ids, Ids]], verify: Verify, estimates: Tensor
) -> _Ranked:
    cells = all_cells(verify.component, instrument.shape, verify.positions)
    values = estimates[..., list(verify.positions)].flatten()
    pairing = min((Pairing(*pair) for pair in runs), key=lambda pairing: pairing.first)
    run = experiments(instrument, pairing.base_ids, pairing, each_alone(verify.component, cells))
    sizes = values.abs().tolist()
    return _Ranked(cells, values, sorted((each.number for each in run), key=lambda number: -sizes[number]))


def refuse_costly(
    instrument: Instrument,
    runs: Sequence[tuple[Ids, Ids]],
    verify: Verify,
    estimates: Tensor,
    budget: Budget,
    progress: Progress,
) -> None:
    """Raise ResourceError, with how many cells would fit, where sweeping those `nominated` is beyond a budget.

    Raises Cancelled when `progress` does.
    """
    ranked = _ranked(instrument, runs, verify, estimates)

    def cost(asked: Verify) -> SweepCost:
        sets = each_alone(asked.component, ranked.nominated(asked).cells)
        estimates = [
            estimate(instrument, base, Pairing(base, source), sets, budget.bytes, progress)
            for base, source in runs
        ]
        return sweep_cost(instrument, Sweeps(len(runs[0][0]), estimates))

    def what_fits() -> str:
        fewer = replace(verify, top=min(verify.top, found.cells), random=min(verify.random, found.cells))
        while fewer.top + fewer.random > 1:
            fewer = replace(fewer, top=max(1, fewer.top // 2), random=fewer.random // 2)
            if within(budget, cost(fewer)):
                return f"With top {fewer.top} and random {fewer.random} it would fit."
        return f"Not even one cell would fit: {cost(fewer).in_words}."

    found = cost(verify)
    refuse_beyond(budget, found, what_fits)


def exact_changes(
    instrument: Instrument,
    pairs: Sequence[Pair],
    direction: str,
    component: str,
    cells: list[Cell],
    budget: Budget,
    progress: Progress,
) -> tuple[Float[Tensor, " cell"], float]:
    """The change of the metric with each cell patched alone, mean over the pairs; and the re-checks' largest error.

    Of the budget only the memory counts here, see `refuse_costly`.
    """
    sets, total, errors = each_alone(component, cells), torch.zeros(len(cells)), []
    for pair in pairs:
        runs, (clean, corrupted) = pair.runs(direction), pair.ends(instrument, progress)
        source, wanted = runs.run_source(instrument, progress), Wanted(pair.token_ids, pair.vocabulary)
        sweep = Sweep(runs.base, source, sets, wanted)
        swept = run_sweep(instrument, sweep, budget_bytes=budget.bytes, progress=progress)
        errors.append(recheck(instrument, sweep, swept, count=rechecks_of(len(pairs)), progress=progress))
        unpatched = corrupted if direction == "denoise" else clean
        total += pair.values(instrument, swept.logits, swept.logsumexp) - unpatched
    return total / len(pairs), worst(errors)


def agreement(estimated: Float[Tensor, " cell"], exact: Float[Tensor, " cell"]) -> dict[str, Any]:
    """How well the estimates order the cells, and how many of the largest exact changes are among the largest of them.

    A correlation is None where fewer than 3 cells or equal values give none.
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
