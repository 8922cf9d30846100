"""All sets of a request on all scored questions: their curves, the smallest that suffices, and the checks."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.analyses.bootstrap import Floats, share_of_means
from backend.analyses.findings import array
from backend.analyses.intervals import as_scalar, with_ends
from backend.analyses.sufficiency.bank import Used, weights_of
from backend.analyses.sufficiency.curves import random_sets
from backend.analyses.sufficiency.sets import Case, Scored, ablated, kept_fixed, kept_live, score
from backend.analyses.tolerance import tolerance, worst
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.contract.result import Array
from backend.engine.instrument import Instrument
from backend.engine.sweep import readout_of, recheck_final_sets

RECHECKED = 6
"""How many cases are run again as whole passes."""
Kept = Callable[[Iterable[int]], Case]


@dataclass(frozen=True)
class Sorted:
    """Nodes in their order, and the questions on which sets of them are scored.

    Attributes:
        nodes: indices, the largest effect first.
        effects: in the same order; NaN for a set of one's own.
        sorted_on: how many questions the order was made on.
    """

    nodes: list[int]
    effects: Floats
    scored: list[Used]
    sorted_on: int

    @property
    def cumulative(self) -> Floats:
        """The share of all nodes' sizes of effect, up to each node."""
        sizes = np.abs(self.effects)
        return np.asarray(np.cumsum(sizes) / sizes.sum())


class Table:
    """All cases on all scored questions."""

    def __init__(
        self,
        instrument: Instrument,
        chosen: Sorted,
        sizes: list[int],
        values: Mapping[str, Any],
        progress: Progress,
    ) -> None:
        self.instrument, self.chosen, self.sizes, self.progress = instrument, chosen, sizes, progress
        shape = (instrument.shape.layers, instrument.shape.heads)
        sets = [chosen.nodes[:size] for size in sizes]
        drawn = [random_sets(one, shape, values["matched"], values["random"], values["seed"]) for one in sets]
        groups: dict[str, list[Case]] = {
            "empty": [kept_live([])],
            "live": [kept_live(one) for one in sets],
            "fixed": [kept_fixed(one) for one in sets],
            "ablated": [ablated(one) for one in sets],
            "singles": [ablated([node]) for node in chosen.nodes[: sizes[-1]]],
            "random_live": [kept_live(one) for some in drawn for one in some],
            "random_fixed": [kept_fixed(one) for some in drawn for one in some],
        }
        self.scored = score(
            instrument, chosen.scored, [case for some in groups.values() for case in some], progress
        )
        ends = np.cumsum([len(some) for some in groups.values()])[:-1]
        parts = np.split(self.scored.values.numpy(), ends, axis=1)
        self.values: dict[str, Floats] = dict(zip(groups, parts, strict=True))
        self.weights = weights_of(chosen.scored)
        self.empty = self.values["empty"][:, 0]
        self.clean = np.array(
            [float(one.values(instrument, one.run.base.resid_final[-1:])[0]) for one in chosen.scored]
        )
        self._refuse_without_effect()

    def _refuse_without_effect(self) -> None:
        metric, span = self.chosen.scored[0].metric.metric, float(self.weights @ (self.clean - self.empty))
        if abs(span) <= metric.noise:
            raise RequestError(
                f"With every head and MLP replaced, {metric.name} changes by {span:.3f} {metric.unit} on average, "
                f"not more than its noise of {metric.noise:g}: there is nothing to recover. Choose another corruption."
            )

    @property
    def unit(self) -> str:
        """The metric's unit."""
        return self.chosen.scored[0].metric.metric.unit

    def share(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Recovered, with its interval; `values` is `[question, ...]`."""
        return share_of_means(values, self.clean, self.empty, self.weights)

    def arrays(self) -> dict[str, Array]:
        """The curves, and the values that they are made from."""
        draws = (len(self.clean), len(self.sizes), -1)
        value, low, high = self.share(self.values["ablated"])
        singles = np.cumsum(1 - self.share(self.values["singles"])[0])
        curves = {
            **with_ends("sufficiency", self.share(self.values["live"]), ("k",), "share"),
            **with_ends("sufficiency_fixed", self.share(self.values["fixed"]), ("k",), "share"),
            **with_ends("necessity", (1 - value, 1 - high, 1 - low), ("k",), "share"),
        }
        for name, kept in (
            ("random_sufficiency", "random_live"),
            ("random_sufficiency_fixed", "random_fixed"),
        ):
            curves |= with_ends(name, self.share(self.values[kept].reshape(draws)), ("k", "draw"), "share")
        return {
            "sizes": array(np.array(self.sizes), ("k",), "nodes"),
            **curves,
            "singles": array(singles[np.array(self.sizes) - 1], ("k",), "share"),
            **{
                f"values_{name}": array(self.values[name], ("question", "k"), self.unit)
                for name in ("live", "fixed", "ablated")
            },
            "values_clean": array(self.clean, ("question",), self.unit),
            "values_empty": array(self.empty, ("question",), self.unit),
        }

    def smallest(self, share: float, kept: Kept, names: Sequence[str]) -> dict[str, Any] | None:
        """The smallest set that recovers `share`: all sizes are tried below the first one of the curve that does."""
        curve = self.share(self.values["live" if kept is kept_live else "fixed"])[0]
        reached = np.flatnonzero(curve >= share)
        if not len(reached):
            return None
        end = int(reached[0])
        first = self.sizes[end - 1] + 1 if end else 1 if self.chosen.sorted_on else self.sizes[0]
        tried = range(first, self.sizes[end] + 1)
        cases = [kept(self.chosen.nodes[:size]) for size in tried]
        found = score(self.instrument, self.chosen.scored, cases, self.progress)
        shares = self.share(found.values.numpy())
        index = int(np.flatnonzero(shares[0] >= share)[0])
        size = tried[index]
        return {"size": size, "nodes": [*names[:size]], **as_scalar(part[index] for part in shares)}

    def checks(self) -> dict[str, tuple[float, float]]:
        """The largest differences to whole passes with hooks, and to the corrupted runs where all is replaced."""
        limit, scored = tolerance(self.instrument).logits, self.scored
        drawn = random.Random(0).sample(range(len(scored.final)), min(RECHECKED, len(scored.final)))
        errors = [
            recheck_final_sets(
                self.instrument,
                scored.sets,
                scored.final,
                [case],
                self.chosen.scored[int(scored.sets.run[case])].wanted,
                self.progress,
            )
            for case in drawn
        ]
        return {"oracle_error": (worst(errors), limit), "ends_error": (self._ends_error(scored), limit)}

    def _ends_error(self, scored: Scored) -> float:
        """Everything replaced against the corrupted run; 0 where the replacing outputs are no run's."""
        each = len(scored.final) // len(self.chosen.scored)
        errors = [0.0]
        for number, one in enumerate(self.chosen.scored):
            if one.corrupted is not None:
                mine = readout_of(self.instrument, scored.final[number * each][None], one.wanted).logits
                whole = readout_of(self.instrument, one.corrupted[None], one.wanted).logits
                errors.append(float((mine - whole).abs().max()))
        return worst(errors)
