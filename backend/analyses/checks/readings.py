"""What is read off a model, question by question, so that two models, or two ways of holding one, can be compared.

Label logits, the net attribution of every head, and for the first few questions exact patching of every head at the
final position. `backend.results.drift` compares two of these.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from backend.analyses.attribution.attribution import attribute, net_effect
from backend.analyses.checks.schema import READINGS
from backend.analyses.findings import array, layer_head_ticks
from backend.analyses.intervals import as_scalar, mean_interval, share_interval
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.patching.pairs import Pair, pairs_of
from backend.analyses.patching.schema import PAIR_DEFAULTS
from backend.analyses.prediction.prediction import loss
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, Sweep, Wanted, cost_of, each_alone, recheck, run_sweep
from backend.questions.prompt import Prompt

RECHECKED = 2
# Where each cell is a pass of the whole model, only so many heads of a question are patched.
WHOLE_CELLS = 20


@dataclass
class _Read:
    """What has been read so far, one entry a question; of patching, one for each of the first questions."""

    logits: list[Tensor] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    nets: list[Tensor] = field(default_factory=list)
    identity: list[float] = field(default_factory=list)
    patched: list[Tensor] = field(default_factory=list)
    oracle: list[float] = field(default_factory=list)
    left_out: int = 0


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Readings of every question.

    Arrays: `label_logits[question, label]` (NaN where a question has fewer options than another), `right[question]` and
    `predicted[question]` as labels' indices, `loss_by_question[question]`, `net[question, layer, head]`, and
    `patched[patched, layer, head]`, the net logit of the right letter when a head's clean output is put into the run
    with two options swapped. It is NaN for heads that were not patched: all but the 20 of the largest net attribution
    where each takes a whole pass (8bit), and all of questions that cannot be corrupted so, counted in `left_out`.
    """
    wanted = READINGS.values(task.request)["patched"]
    read, texts = _Read(), hashlib.sha256()
    for number, (prompt, within) in enumerate(each_prompt(instrument, task, progress)):
        texts.update(prompt.text.encode())
        _read(read, instrument, prompt, within)
        if number < wanted:
            _patch(read, instrument, task, number, prompt, within)
    labels = task.request.prompt.labels[: max(len(logits) for logits in read.logits)]
    return _findings(instrument, read, labels, texts.hexdigest()[:16])


def _read(read: _Read, instrument: Instrument, prompt: Prompt, progress: Progress) -> None:
    right = answered(prompt)
    trace = instrument.trace(prompt.token_ids, progress)
    found = attribute(instrument, trace, prompt.answer_ids)
    read.logits.append(trace.logits[list(prompt.answer_ids)])
    read.right.append(right)
    read.losses.append(float(loss(trace, prompt) or 0.0))
    read.nets.append(net_effect(found.heads, right))
    read.identity.append(found.identity_error)


def _patch(
    read: _Read, instrument: Instrument, task: Task, number: int, prompt: Prompt, progress: Progress
) -> None:
    try:
        (pair,) = pairs_of(instrument, task, number, prompt, PAIR_DEFAULTS, progress)
    except RequestError:
        read.left_out += 1
        read.patched.append(torch.full_like(read.nets[-1], float("nan")))
        return
    values, error = _patched_heads(instrument, pair, read.nets[-1], progress)
    read.patched.append(values)
    read.oracle.append(error)


def _patched_heads(
    instrument: Instrument, pair: Pair, net: Tensor, progress: Progress
) -> tuple[Tensor, float]:
    """The metric with each head's clean `z` in the corrupted run, `[layer, head]`, and the re-check's error."""
    runs = pair.runs("denoise")
    heads = torch.arange(net.numel())
    if cost_of(instrument).whole_model:
        heads = net.flatten().abs().topk(min(WHOLE_CELLS, net.numel())).indices
    final = len(runs.base) - 1
    places = (divmod(index, net.shape[1]) for index in heads.tolist())
    sets = each_alone("z", [Cell(layer, final, head) for layer, head in places])
    wanted, source = Wanted(pair.token_ids, pair.vocabulary), runs.run_source(instrument, progress)
    sweep = Sweep(runs.base, source, sets, wanted)
    swept = run_sweep(instrument, sweep, progress=progress)
    values = torch.full((net.numel(),), float("nan"))
    values[heads] = pair.values(instrument, swept.logits, swept.logsumexp)
    error = recheck(instrument, sweep, swept, count=RECHECKED, progress=progress)
    return values.view(net.shape), error


def _findings(instrument: Instrument, read: _Read, labels: tuple[str, ...], prompts: str) -> Findings:
    logits = torch.nn.utils.rnn.pad_sequence(read.logits, batch_first=True, padding_value=float("nan"))
    predicted = torch.tensor([int(each.argmax()) for each in read.logits])
    right, losses = torch.tensor(read.right), np.array(read.losses)
    patched = torch.stack(read.patched) if read.patched else torch.empty(0, *read.nets[0].shape)
    limits = tolerance(instrument)
    checks = {"identity_error": (worst(read.identity), limits.identity)}
    if read.oracle:
        checks["oracle_error"] = (worst(read.oracle), limits.logits)
    return Findings(
        arrays={
            "label_logits": array(logits, ("question", "label"), "logits"),
            "right": array(right, ("question",), "label"),
            "predicted": array(predicted, ("question",), "label"),
            "loss_by_question": array(losses, ("question",), "nats"),
            "net": array(torch.stack(read.nets), ("question", "layer", "head"), "logits"),
            "patched": array(patched, ("patched", "layer", "head"), "logits"),
        },
        ticks={**layer_head_ticks(instrument), "label": labels},
        scalars={
            "count": len(read.right),
            "patched_questions": len(read.oracle),
            "left_out": read.left_out,
            "accuracy": as_scalar(share_interval(int((predicted == right).sum()), len(right))),
            "loss": as_scalar(mean_interval(losses)),
            "weight_bytes": instrument.resolved.weight_bytes,
            "prompts": prompts,
        },
        checks=checks,
    )
