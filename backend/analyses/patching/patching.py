"""Activation patching: one activation of one run put into the other, cell by cell, exactly.

Denoise puts the clean activation into the corrupted run and shows what suffices; noise does the reverse and shows what
is necessary (Heimersheim & Nanda 2024, arXiv 2404.15255). The corrupted run is another real prompt: resample ablation
(Lieberum et al. 2023).
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.findings import array, layer_head_ticks, prompt_scalars
from backend.analyses.patching.budget import chosen_budget, rechecks_of, refuse_beyond, refuse_long
from backend.analyses.patching.cost import work_of
from backend.analyses.patching.over_bank import over_bank
from backend.analyses.patching.pairs import pair_scalars
from backend.analyses.patching.plan import SweepPlan, plan, what_fits
from backend.analyses.patching.resumable import SweepResults
from backend.analyses.patching.schema import PATCHING
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.components import COMPONENTS
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import Sweep, recheck


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """One sweep for each corrupted prompt, re-checked on a handful of cells against whole forward passes.

    Arrays: `values` and `recovered`, with the component's axes; recovered is (value - corrupted) / (clean - corrupted).
    Over several corrupted prompts they are means, and `values_spread`, `recovered_spread` the standard deviations. NaN
    where a position has no counterpart in a corrupted prompt. Over several questions see `over_bank`.
    """
    if task.request.question is None:
        values = PATCHING.values(task.request)
        refuse_long(chosen_budget(values["budget"]), work_of(instrument, task, progress), instrument)
        return over_bank(instrument, task, values, progress)
    chosen = plan(instrument, task, progress)
    chosen = replace(chosen, budget=chosen.budget.settled(instrument))
    refuse_beyond(
        chosen.budget, chosen.cost(instrument, progress), lambda: what_fits(instrument, chosen, progress)
    )
    picture = _Picture(instrument, chosen, progress)
    sizes = (len(chosen.draws), len(chosen.cells), len(chosen.wanted.token_ids))
    results = SweepResults(sizes, task.checkpoint, lambda: _show(task, picture, results))
    engine, errors = "", []
    for number, draw in enumerate(chosen.draws):
        source = draw.runs.run_source(instrument, progress)
        sweep = Sweep(draw.runs.base, source, draw.sets, chosen.wanted)
        swept = results.sweep(instrument, sweep, number, progress, chosen.budget.bytes)
        _show(task, picture, results)  # before they are checked, which takes longer than the final heads do
        errors.append(
            recheck(instrument, sweep, swept, count=rechecks_of(len(chosen.draws)), progress=progress)
        )
        engine = swept.engine
    checks = {"oracle_error": (worst(errors), tolerance(instrument).logits)}
    found = picture.findings(results)
    return replace(found, scalars={**found.scalars, "engine": engine}, checks=checks)


class _Picture:
    """Turns labels' logits into findings, again and again as more of them are known."""

    def __init__(self, instrument: Instrument, chosen: SweepPlan, progress: Progress) -> None:
        self._instrument = instrument
        self._chosen = chosen
        self._unpatched = [draw.pair.unpatched(instrument, progress) for draw in chosen.draws]

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        """The scalars that do not wait for the sweep."""
        chosen, draws = self._chosen, self._chosen.draws
        tokenizer = self._instrument.tokenizer
        return {
            **prompt_scalars(chosen.prompt),
            **pair_scalars([draw.pair for draw in draws], self._unpatched),
            "positions": list(chosen.positions),
            "corrupted_tokens": [tokenizer.decode([token]) for token in draws[0].pair.other.token_ids],
            "component": chosen.component,
            "direction": chosen.direction,
            "first_difference": min(draw.runs.pairing.first for draw in draws),
            "cells": len(chosen.cells) * len(draws),
            "cells_skipped": sum(
                sum(bool(nodes) for nodes in draw.sets) - len(draw.experiments(self._instrument))
                for draw in draws
            ),
            "cells_unmatched": sum(not nodes for draw in draws for nodes in draw.sets),
        }

    def findings(self, results: SweepResults) -> Findings:
        """What is known so far."""
        chosen, component = self._chosen, COMPONENTS[self._chosen.component]
        values, recovered = self._values(results)
        ticks = layer_head_ticks(self._instrument)
        heads = component.head_count(self._instrument.shape)
        arrays = {"values": self._grid(values.mean(0)), "recovered": self._grid(recovered.mean(0))}
        if len(values) > 1:
            arrays |= {
                "values_spread": self._grid(values.std(0)),
                "recovered_spread": self._grid(recovered.std(0)),
            }
        unit = chosen.draws[0].pair.metric.metric.unit
        return Findings(
            arrays={
                name: array(grid, component.axes, "share" if name.startswith("recovered") else unit)
                for name, grid in arrays.items()
            },
            ticks={
                "layer": ticks["layer"],
                **({} if heads is None else {component.axes[1]: tuple(str(head) for head in range(heads))}),
                "position": tuple(chosen.prompt.tokens[position] for position in chosen.positions),
            },
            scalars=self._fixed,
        )

    def _values(self, results: SweepResults) -> tuple[Float[Tensor, "draw cell"], Float[Tensor, "draw cell"]]:
        """The metric of every cell, and the share recovered; NaN where both runs score the same."""
        values, recovered = [], []
        for number, (draw, (clean, corrupted)) in enumerate(
            zip(self._chosen.draws, self._unpatched, strict=True)
        ):
            logsumexp = results.logsumexp[number] if draw.pair.vocabulary else None
            value = draw.pair.values(self._instrument, results.logits[number], logsumexp)
            values.append(value)
            span = clean - corrupted
            recovered.append((value - corrupted) / span if span else torch.full_like(value, float("nan")))
        return torch.stack(values), torch.stack(recovered)

    def _grid(self, flat: Float[Tensor, " cell"]) -> Tensor:
        heads = COMPONENTS[self._chosen.component].head_count(self._instrument.shape)
        layers = self._instrument.shape.layers
        return flat.view(layers, *([] if heads is None else [heads]), len(self._chosen.positions))


def _show(task: Task, picture: _Picture, results: SweepResults) -> None:
    if task.show is not None:
        task.show(picture.findings(results))
