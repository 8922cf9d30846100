"""Attribution patching: what every patch would change, estimated from one gradient, and some of it checked exactly.

I(n) = (n(source) - n(base)) . dm/dn (Nanda 2023), with the two corrections of AtP* (Kramár et al. 2024,
arXiv 2403.00745) for queries and keys and, as an option, GradDrop. It nominates; the exact sweep verifies.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.analyses.findings import array, layer_head_ticks, prompt_scalars
from backend.analyses.patching.attribution_schema import ATTRIBUTION_PATCHING
from backend.analyses.patching.budget import Budget, chosen_budget
from backend.analyses.patching.pairs import Pair, pair_scalars, pairs_of
from backend.analyses.patching.verification import Verification, Verify, agreement, chosen_verify
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance, worst
from backend.contract.components import COMPONENTS
from backend.contract.corruptions import of_equal_length
from backend.contract.errors import RequestError
from backend.contract.progress import Progress, give_way
from backend.engine.first_order import changes
from backend.engine.gradients import forward
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_normalizer
from backend.engine.pattern import patterns, values_for_heads
from backend.engine.sweep import Pairing
from backend.engine.sweep.source import Ids
from backend.engine.trace import Trace


@dataclass(frozen=True)
class Plan:
    """One run with everything decided; all of its pairs share the clean prompt and the metric.

    The budget is for what `verify` sweeps.
    """

    pairs: tuple[Pair, ...]
    direction: str
    qk_fix: bool
    grad_drop: bool
    verify: Verify | None
    budget: Budget

    @property
    def runs(self) -> list[tuple[Ids, Ids]]:
        """For each pair the run that is changed and the one that values come from."""
        found = [pair.runs(self.direction) for pair in self.pairs]
        return [(runs.base, runs.source) for runs in found]

    @property
    def first(self) -> int:
        """The first position where any of the pairs differs."""
        return min(Pairing(base, source).first for base, source in self.runs)


@dataclass(frozen=True)
class Estimates:
    """Means over the pairs, by component; `magnitudes` are GradDrop's.

    `pattern_error` is the largest difference between pattern times values and the model's own `z`, as a share.
    """

    changes: Mapping[str, Tensor]
    magnitudes: Mapping[str, Tensor]
    pattern_error: float


def plan(instrument: Instrument, task: Task, progress: Progress) -> Plan:
    """Decide everything that a request leaves open. Raises RequestError naming the parameter."""
    values = ATTRIBUTION_PATCHING.values(task.request)
    (prompt,) = task.prompts(instrument)
    pairs = pairs_of(instrument, task, 0, prompt, values, progress)
    for pair in pairs:
        if not pair.other.aligned:
            raise RequestError(
                f"The corrupted prompt ({pair.other.note}) has other tokens in other places than the clean one, so "
                f"its positions cannot be patched. Choose a corruption of equal length: {of_equal_length()}."
            )
    verify = values["verify"]
    return Plan(
        pairs=tuple(pairs),
        direction=values["direction"],
        qk_fix=values["qk_fix"],
        grad_drop=values["grad_drop"],
        verify=verify and chosen_verify(verify, instrument.shape, len(prompt.token_ids)),
        budget=chosen_budget(values["budget"]),
    )


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Every component's estimated change of the metric, cell by cell, mean over the corrupted prompts drawn.

    Arrays: one a component, named like it; with `grad_drop` also `magnitude_` and its name; with `verify`
    `estimated` and `exact`, `[cell]`.
    """
    chosen = plan(instrument, task, progress)
    prompt, unit = chosen.pairs[0].clean.prompt, chosen.pairs[0].metric.metric.unit
    estimates = _estimates(instrument, chosen, progress)
    arrays = {
        f"{prefix}{name}": array(values, COMPONENTS[name].axes, unit)
        for prefix, found in (("", estimates.changes), ("magnitude_", estimates.magnitudes))
        for name, values in found.items()
    }
    scalars = {
        **prompt_scalars(prompt),
        **pair_scalars(chosen.pairs, [pair.unpatched(instrument, progress) for pair in chosen.pairs]),
        "direction": chosen.direction,
        "first_difference": chosen.first,
    }
    limits = tolerance(instrument)
    checks = {"pattern_error": (estimates.pattern_error, limits.activations)}
    if chosen.verify is not None:
        budget = chosen.budget.settled(instrument)
        verification = Verification(chosen.pairs, chosen.direction, chosen.verify, budget)
        ranked = verification.ranked(instrument, estimates.changes[chosen.verify.component])
        verification.refuse_costly(instrument, ranked, progress)
        found = ranked.nominated(chosen.verify)
        exact, error = verification.exact_changes(instrument, found.cells, progress)
        checks["oracle_error"] = (error, limits.logits)
        arrays["estimated"] = array(found.estimated, ("cell",), unit)
        arrays["exact"] = array(exact, ("cell",), unit)
        scalars["verified"] = [
            {"layer": cell.layer, "head": cell.head, "position": cell.position, "top": number < found.top}
            for number, cell in enumerate(found.cells)
        ]
        scalars |= agreement(found.estimated, exact)
    return Findings(
        arrays=arrays,
        ticks={
            **layer_head_ticks(instrument),
            "kv_head": tuple(str(head) for head in range(instrument.shape.kv_heads)),
            "position": prompt.tokens,
        },
        scalars=scalars,
        checks=checks,
    )


def _estimates(instrument: Instrument, chosen: Plan, progress: Progress) -> Estimates:
    """A pass forwards and one back for each base run; with GradDrop as many more back as there are layers."""
    found: dict[str, Tensor] = {}
    magnitudes: dict[str, Tensor] = {}
    bases = dict.fromkeys(base for base, _ in chosen.runs)
    errors = [_from_base(instrument, chosen, base, found, magnitudes, progress) for base in bases]
    return Estimates(found, magnitudes, worst(errors))


def _from_base(
    instrument: Instrument,
    chosen: Plan,
    base_ids: Ids,
    found: dict[str, Tensor],
    magnitudes: dict[str, Tensor],
    progress: Progress,
) -> float:
    """Add the estimates of the pairs with this base run; returns the error of its patterns.

    GradDrop's mean of |I| is over the layers but one: with its own layer dropped, a node inside it has no way to the
    metric.
    """
    pair, layers, share = chosen.pairs[0], instrument.shape.layers, 1 / len(chosen.pairs)
    sources = [source for base, source in chosen.runs if base == base_ids]
    graph = forward(instrument, base_ids, progress)
    # The metric may read it, and here it can be cancelled.
    instrument.trace(pair.clean.prompt.token_ids, progress)
    base, labels = graph.trace, graph.logits[list(pair.token_ids)]
    value = pair.values(instrument, labels[None], log_normalizer(graph.logits)[None])[0]
    for dropped in (None, *range(layers)) if chosen.grad_drop else (None,):
        give_way()
        gradients = graph.gradients(value, progress, dropped)
        for source_ids in sources:
            source = instrument.trace(source_ids, progress)
            first_order = changes(base, source, gradients, qk_fix=chosen.qk_fix, progress=progress)
            first = Pairing(base_ids, source_ids).first
            if dropped is None:
                _add(found, first_order, first, share)
            else:
                sizes = {name: values.abs() for name, values in first_order.items()}
                _add(magnitudes, sizes, first, share / max(1, layers - 1))
    return _pattern_error(base, progress)


def _pattern_error(base: Trace, progress: Progress) -> float:
    """Over all positions: the corrected estimates stand on patterns computed again from queries and keys."""
    ours, layers = [], len(base.z)
    for layer in range(layers):
        progress("Checking the patterns", layer, layers)
        looked = patterns(base, layer, base.q_rotated[layer], base.k_rotated[layer])
        ours.append(looked @ values_for_heads(base, layer))
    return largest_share(torch.stack(ours), base.z.transpose(1, 2))


def _add(total: dict[str, Tensor], estimate: Mapping[str, Tensor], first: int, share: float) -> None:
    """Before the first difference both runs are the same: what differs there is rounding."""
    for name, values in estimate.items():
        values[..., :first] = 0
        total[name] = total.get(name, torch.zeros_like(values)) + share * values
