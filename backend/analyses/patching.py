"""Activation patching: one activation of one run put into the other, cell by cell, exactly.

Denoise puts the clean activation into the corrupted run and shows what suffices; noise does the reverse and shows what
is necessary (Heimersheim & Nanda 2024, arXiv 2404.15255). The corrupted run is another real prompt: resample ablation
(Lieberum et al. 2023).
"""

import time
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.analyses.analysis import Analysis, Findings, Task, array, layer_head_ticks, prompt_scalars
from backend.analyses.corruptions import Clean, Corrupted, corrupted
from backend.analyses.metrics import ChosenMetric, Readings, chosen_metric
from backend.analyses.tolerance import tolerance
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    COMPONENTS,
    Cell,
    Swept,
    all_cells,
    changing,
    first_difference,
    recheck,
    sweep,
)
from backend.engine.trace import trace
from backend.errors import RequestError, shown
from backend.progress import Progress
from backend.questions.prompt import Prompt
from backend.results.checkpoint import Checkpoint

DIRECTIONS = ("denoise", "noise")
SAVE_SECONDS = 2.0
PARAMS = ("corruption", "component", "direction", "metric", "positions")


@dataclass(frozen=True)
class Plan:
    """One sweep with everything decided.

    Attributes:
        base, source: the token ids of the run that is changed and of the run that the values come from.
        positions: of the clean prompt, those swept.
        cells: every cell at those positions, in the order of the component's axes.
    """

    clean: Clean
    other: Corrupted
    component: str
    direction: str
    metric: ChosenMetric
    positions: tuple[int, ...]
    cells: tuple[Cell, ...]

    @property
    def base(self) -> tuple[int, ...]:
        return self.other.token_ids if self.direction == "denoise" else self.clean.prompt.token_ids

    @property
    def source(self) -> tuple[int, ...]:
        return self.clean.prompt.token_ids if self.direction == "denoise" else self.other.token_ids


def plan(instrument: Instrument, task: Task) -> Plan:
    """Decide everything that a request leaves open. Raises RequestError naming the parameter."""
    params = task.request.params
    (prompt,) = task.prompts(instrument)
    clean = Clean(task.questions[0], task.request.prompt, task.shots[0], prompt)
    component = _one_of("component", params.get("component", "z"), COMPONENTS)
    other = corrupted(instrument, clean, params.get("corruption", {"kind": "swap_options"}))
    if not other.aligned:
        raise RequestError(
            f"The corrupted prompt ({other.note}) has other tokens in other places than the clean one, so its "
            "positions cannot be patched. Choose a corruption of equal length, such as swap_options."
        )
    positions = _positions(params.get("positions", "all"), prompt)
    return Plan(
        clean=clean,
        other=other,
        component=component,
        direction=_one_of("direction", params.get("direction", "denoise"), DIRECTIONS),
        metric=chosen_metric(params.get("metric", _default_metric(instrument, prompt)), prompt.labels),
        positions=positions,
        cells=tuple(all_cells(component, instrument.shape, positions)),
    )


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """One sweep, re-checked on a handful of cells against whole forward passes.

    Arrays: `values` and `recovered`, with the component's axes; recovered is (value - corrupted) / (clean - corrupted).
    """
    chosen = plan(instrument, task)
    ids = chosen.clean.prompt.answer_ids
    vocabulary = chosen.metric.metric.vocabulary
    swept = _sweep(instrument, chosen, progress, task.checkpoint)
    progress("Re-checking some cells against whole passes")
    oracle_error = recheck(
        instrument, chosen.base, chosen.source, chosen.component, chosen.cells, ids, swept=swept
    )
    reference = instrument.trace(chosen.clean.prompt.token_ids).logits
    ends = _read_ends(instrument, chosen, reference, vocabulary=vocabulary)
    clean, corrupt = (float(value) for value in chosen.metric(ends))
    values = chosen.metric(Readings(swept.logits, swept.logsumexp, reference[list(ids)]))
    heads = COMPONENTS[chosen.component].head_count(instrument.shape)
    axes = COMPONENTS[chosen.component].axes
    shape = [instrument.shape.layers, *([] if heads is None else [heads]), len(chosen.positions)]
    grid = values.reshape(shape)
    ticks = layer_head_ticks(instrument)
    return Findings(
        arrays={
            "values": array(grid, axes, chosen.metric.metric.unit),
            "recovered": array(_recovered(grid, clean, corrupt), axes, "share"),
        },
        ticks={
            "layer": ticks["layer"],
            **({} if heads is None else {axes[1]: tuple(str(head) for head in range(heads))}),
            "position": tuple(chosen.clean.prompt.tokens[position] for position in chosen.positions),
        },
        scalars={
            **prompt_scalars(chosen.clean.prompt),
            "positions": list(chosen.positions),
            "corrupted_tokens": [instrument.tokenizer.decode([token]) for token in chosen.other.token_ids],
            "corruption": chosen.other.note,
            "component": chosen.component,
            "direction": chosen.direction,
            "metric": chosen.metric.metric.kind,
            "clean": clean,
            "corrupted": corrupt,
            "first_difference": first_difference(chosen.base, chosen.source),
            "engine": swept.engine,
            "cells": len(chosen.cells),
            "cells_skipped": swept.skipped,
        },
        checks={"oracle_error": (oracle_error, tolerance(instrument).logits)},
    )


def _sweep(instrument: Instrument, chosen: Plan, progress: Progress, checkpoint: Checkpoint | None) -> Swept:
    """The sweep, going on from what an earlier one has finished, and saving what this one finishes."""
    ids, vocabulary = chosen.clean.prompt.answer_ids, chosen.metric.metric.vocabulary
    logits = torch.full((len(chosen.cells), len(ids)), float("nan"))
    logsumexp = torch.full((len(chosen.cells),), float("nan"))
    saved = {} if checkpoint is None else checkpoint.load()
    if saved.keys() == {"logits", "logsumexp"} and saved["logits"].shape == tuple(logits.shape):
        logits.copy_(torch.from_numpy(saved["logits"]))
        logsumexp.copy_(torch.from_numpy(saved["logsumexp"]))
    open_cells = [number for number in range(len(chosen.cells)) if bool(logits[number].isnan().any())]
    saved_at = time.monotonic()

    def save() -> None:
        if checkpoint is not None:
            checkpoint.save({"logits": logits.numpy(), "logsumexp": logsumexp.numpy()})

    def keep(numbers: list[int], found: Tensor, found_logsumexp: Tensor | None) -> None:
        nonlocal saved_at
        places = [open_cells[number] for number in numbers]
        logits[places] = found
        if found_logsumexp is not None:
            logsumexp[places] = found_logsumexp
        if time.monotonic() - saved_at > SAVE_SECONDS:
            save()
            saved_at = time.monotonic()

    try:
        swept = sweep(
            instrument,
            chosen.base,
            chosen.source,
            chosen.component,
            [chosen.cells[number] for number in open_cells],
            ids,
            vocabulary=vocabulary,
            progress=progress,
            on_done=keep,
        )
    except BaseException:
        save()
        raise
    first = first_difference(chosen.base, chosen.source)
    run_cells = changing(instrument, len(chosen.base), chosen.component, chosen.cells, first)
    skipped = len(chosen.cells) - len(run_cells)
    return Swept(logits, logsumexp if vocabulary else None, skipped, swept.engine)


def _read_ends(instrument: Instrument, chosen: Plan, clean: Tensor, *, vocabulary: bool) -> Readings:
    """The clean and the corrupted run, unpatched, as two cells."""
    other = trace(instrument.model, instrument.family, chosen.other.token_ids).logits
    both = torch.stack([clean, other])
    ids = list(chosen.clean.prompt.answer_ids)
    return Readings(both[:, ids], both.logsumexp(-1) if vocabulary else None, clean[ids])


def _recovered(
    values: Tensor, clean: float, corrupt: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Where both runs score the same there is nothing to recover: NaN."""
    if clean == corrupt:
        return np.full(tuple(values.shape), np.nan, dtype=np.float32)
    return ((values - corrupt) / (clean - corrupt)).numpy().astype(np.float32)


def _default_metric(instrument: Instrument, prompt: Prompt) -> dict[str, str]:
    """The net logit of the right letter, of the likeliest one where none is right."""
    logits = instrument.trace(prompt.token_ids).logits[list(prompt.answer_ids)]
    best = int(logits.argmax()) if prompt.answer is None else prompt.answer
    return {"kind": "net_logit", "label": prompt.labels[best]}


def _positions(data: object, prompt: Prompt) -> tuple[int, ...]:
    count = len(prompt.token_ids)
    if data == "all":
        return tuple(range(count))
    if data == "final":
        return (count - 1,)
    if not isinstance(data, list) or not data or not all(type(part) is int for part in data):
        raise RequestError(
            f'params.positions must be "all", "final" or a list of positions, not {shown(data)}.'
        )
    for position in data:
        if not 0 <= position < count:
            raise RequestError(
                f"Position {position} is out of range: the prompt has {count} tokens, counted from 0."
            )
    return tuple(dict.fromkeys(data))


def _one_of(name: str, value: object, allowed: Collection[str]) -> str:
    if value not in allowed:
        raise RequestError(f"params.{name} must be one of {', '.join(allowed)}, not {shown(value)}.")
    return str(value)


PATCHING = Analysis(
    name="patching",
    version=1,
    summary="activation patching of one component over layers, heads and positions, exact and re-checked",
    takes=("question",),
    run=run,
    params=PARAMS,
)
