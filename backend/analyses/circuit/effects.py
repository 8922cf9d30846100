"""Total, direct and indirect effect of every head and MLP at the final position.

Total: the node's output is taken from the corrupted run, m(x) - m(x with n := n(x~)). Direct: only the node's write to
the final residual stream changes. Indirect: everything changes except that write. Interaction: total - direct -
indirect. Each effect is computed twice: with the final norm recomputed, and with it frozen at the clean run (ours).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.circuit.schema import EFFECTS, KINDS
from backend.analyses.findings import array, layer_head_ticks, prompt_scalars
from backend.analyses.intervals import ENDS, letters_alike, mean_interval
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.patching.pairs import Pair, pair_scalars, pairs_of
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.choices import NORMS
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, Node, Sweep, Wanted, outputs_of, recheck, run_sweep, unembedded
from backend.engine.writes import write_changes
from backend.questions.prompt import Prompt

RECHECKED = 3
FROZEN = list(NORMS).index("frozen")


@dataclass(frozen=True)
class Effects:
    """One pair's effects, in the metric's unit; positive where the node helps the clean answer.

    Attributes:
        heads, mlps: the four kinds, in the order of `KINDS`; norms in the order of `NORMS`.
        additivity_error: the largest interaction under a frozen norm. For a metric linear in the logits it should be 0.
        oracle_error: see `recheck`; NaN while it is not known.
    """

    heads: Float[Tensor, "kind norm layer head"]
    mlps: Float[Tensor, "kind norm layer"]
    additivity_error: float
    oracle_error: float


def effects_of(
    instrument: Instrument,
    pair: Pair,
    progress: Progress,
    show: Callable[[Effects], None] = lambda effects: None,
) -> Effects:
    """Effects of all nodes of one pair, by one sweep over the final position. `show` gets them before the re-check."""
    shape, runs = instrument.shape, pair.runs("noise")
    final = len(runs.base) - 1
    sets: list[list[Node]] = [
        [("z", Cell(layer, final, head))] for layer in range(shape.layers) for head in range(shape.heads)
    ]
    sets += [[("mlp_out", Cell(layer, final))] for layer in range(shape.layers)]
    wanted = Wanted(pair.token_ids, pair.vocabulary, final=True)
    sweep = Sweep(runs.base, runs.run_source(instrument, progress), sets, wanted)
    swept = run_sweep(instrument, sweep, progress=progress)
    assert swept.final is not None  # asked for
    effects = _effects_after(instrument, pair, swept.final)
    show(effects)
    error = recheck(instrument, sweep, swept, count=RECHECKED, progress=progress)
    return replace(effects, oracle_error=error)


def _effects_after(instrument: Instrument, pair: Pair, final: Float[Tensor, "node d_model"]) -> Effects:
    """Effects from the final residual streams with each node taken from the corrupted run, not re-checked."""
    shape, runs = instrument.shape, pair.runs("noise")
    base, other = instrument.trace(runs.base), instrument.trace(runs.source)
    changes = write_changes(instrument, outputs_of(base), outputs_of(other))
    clean = base.resid_final[-1]
    states = {"total": final, "direct": clean + changes, "indirect": final - changes}
    by_norm = []
    for read in _readouts(instrument, pair, clean):
        baseline = read(clean[None])
        found = {kind: baseline - read(state) for kind, state in states.items()}
        interaction = found["total"] - found["direct"] - found["indirect"]
        by_norm.append(torch.stack([*found.values(), interaction]))
    effects = torch.stack(by_norm, 1)
    heads, mlps = effects.tensor_split([shape.layers * shape.heads], dim=-1)
    interaction = effects[KINDS.index("interaction"), FROZEN]
    capped = instrument.family.logit_cap(instrument.model.config) is not None
    linear = pair.metric.metric.linear and not capped
    return Effects(
        heads=heads.reshape(len(KINDS), len(NORMS), shape.layers, shape.heads),
        mlps=mlps,
        additivity_error=float(interaction.abs().max()) if linear else 0.0,
        oracle_error=float("nan"),
    )


def _readouts(
    instrument: Instrument, pair: Pair, clean: Float[Tensor, " d_model"]
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Functions from final residual streams `[cell, d_model]` to the metric, in the order of `NORMS`."""
    norm = instrument.family.final_norm(instrument.model)
    device = instrument.weights.device
    frozen = instrument.family.frozen_norm(instrument.model, clean.to(device))

    def value(normed: Tensor) -> Tensor:
        return pair.values(instrument, *unembedded(instrument, normed, pair.token_ids, pair.vocabulary))

    @torch.no_grad()
    def recomputed(state: Tensor) -> Tensor:
        return value(norm(state.to(device, instrument.model.dtype)))

    @torch.no_grad()
    def at_clean(state: Tensor) -> Tensor:
        return value(frozen.applied(state.to(device)))

    return recomputed, at_clean


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Effects for one question (means over its corrupted prompts), or means over several questions with intervals."""
    if task.request.question is None:
        return _over_questions(instrument, task, progress)
    (prompt,) = task.prompts(instrument)
    pairs = pairs_of(instrument, task, 0, prompt, EFFECTS.values(task.request), progress)
    ends = [pair.unpatched(instrument, progress) for pair in pairs]
    some: list[Effects] = []

    def show(last: Effects) -> None:
        if task.show is not None and len(some) == len(pairs) - 1:
            task.show(_of_question(instrument, prompt, pairs, ends, _mean([*some, last])))

    for pair in pairs:
        some.append(effects_of(instrument, pair, progress, show))
    found = _of_question(instrument, prompt, pairs, ends, _mean(some))
    return replace(found, checks=_checks(instrument, some))


def _of_question(
    instrument: Instrument, prompt: Prompt, pairs: list[Pair], ends: list[tuple[float, float]], found: Effects
) -> Findings:
    """Without checks."""
    unit = pairs[0].metric.metric.unit
    arrays = {}
    for number, kind in enumerate(KINDS):
        arrays[f"heads_{kind}"] = array(found.heads[number], ("norm", "layer", "head"), unit)
        arrays[f"mlps_{kind}"] = array(found.mlps[number], ("norm", "layer"), unit)
    return Findings(
        arrays=arrays,
        ticks={**layer_head_ticks(instrument), "norm": tuple(NORMS)},
        scalars={
            **prompt_scalars(prompt),
            **pair_scalars(pairs, ends),
        },
    )


def _over_questions(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Means in which each right letter weighs the same; one question counts as the mean over its corrupted prompts.

    Questions that cannot be corrupted are left out.
    """
    samples: list[Effects] = []
    ends: list[np.ndarray] = []
    rights: list[int] = []
    left_out: list[str] = []
    metric, values = None, EFFECTS.values(task.request)
    for number, (prompt, within) in enumerate(each_prompt(instrument, task, progress)):
        right = answered(prompt)
        try:
            pairs = pairs_of(instrument, task, number, prompt, values, within)
        except RequestError as error:
            left_out.append(str(error))
            continue
        metric = pairs[0].metric.metric
        rights.append(right)
        samples.append(_mean([effects_of(instrument, pair, within) for pair in pairs]))
        ends.append(np.mean([pair.unpatched(instrument, within) for pair in pairs], axis=0))
    if metric is None:
        raise RequestError(f"None of the questions can be used. The first: {left_out[0]}")
    weights = letters_alike(rights)
    arrays = {}
    for name, axes in (("heads", ("norm", "layer", "head")), ("mlps", ("norm", "layer"))):
        parts = mean_interval(torch.stack([getattr(each, name) for each in samples]).numpy(), weights)
        for end, part in zip(ENDS, parts, strict=True):
            for number, kind in enumerate(KINDS):
                arrays[f"{name}_{kind}{end}"] = array(part[number], axes, metric.unit)
    clean, corrupted = (weights @ np.stack(ends)).tolist()
    return Findings(
        arrays=arrays,
        ticks={**layer_head_ticks(instrument), "norm": tuple(NORMS)},
        scalars={
            "count": len(samples),
            "left_out": len(left_out),
            "metric": metric.name,
            "clean": clean,
            "corrupted": corrupted,
        },
        checks=_checks(instrument, samples),
    )


def _mean(found: list[Effects]) -> Effects:
    return Effects(
        heads=torch.stack([each.heads for each in found]).mean(0),
        mlps=torch.stack([each.mlps for each in found]).mean(0),
        additivity_error=worst(each.additivity_error for each in found),
        oracle_error=worst(each.oracle_error for each in found),
    )


def _checks(instrument: Instrument, found: list[Effects]) -> dict[str, tuple[float, float]]:
    limits = tolerance(instrument)
    return {
        "oracle_error": (worst(each.oracle_error for each in found), limits.logits),
        "additivity_error": (worst(each.additivity_error for each in found), limits.identity),
    }
