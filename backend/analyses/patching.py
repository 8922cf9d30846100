"""Activation patching: one activation of one run put into the other, cell by cell, exactly.

Denoise puts the clean activation into the corrupted run and shows what suffices; noise does the reverse and shows what
is necessary (Heimersheim & Nanda 2024, arXiv 2404.15255). The corrupted run is another real prompt: resample ablation
(Lieberum et al. 2023).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.analysis import Analysis, Findings, Task, array, layer_head_ticks, prompt_scalars
from backend.analyses.budget import Budget, chosen_budget, expected_seconds, refuse_beyond
from backend.analyses.pairs import DIRECTIONS, PAIR_PARAMS, Pair, Runs, pair_scalars, pairs_of
from backend.analyses.params import one_of
from backend.analyses.resumable import Board
from backend.analyses.tolerance import tolerance
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    COMPONENTS,
    Cell,
    Estimate,
    Node,
    Swept,
    Wanted,
    all_cells,
    estimate,
    experiments,
    recheck,
)
from backend.errors import RequestError, shown
from backend.progress import Progress
from backend.questions.prompt import Prompt

PARAMS = (*PAIR_PARAMS, "component", "direction", "positions", "budget")
RECHECKED = 6


@dataclass(frozen=True)
class Draw:
    """One corrupted prompt's sweep: its runs, and for each cell of the grid what is patched (nothing: refused)."""

    pair: Pair
    runs: Runs
    sets: list[list[Node]]


@dataclass(frozen=True)
class Plan:
    """A request with everything decided.

    Attributes:
        positions: of the clean prompt, those swept.
        cells: every cell at those positions, in the order of the component's axes.
        draws: one sweep for each corrupted prompt.
    """

    prompt: Prompt
    component: str
    direction: str
    positions: tuple[int, ...]
    cells: list[Cell]
    draws: list[Draw]
    budget: Budget

    @property
    def wanted(self) -> Wanted:
        """What the sweeps are to tell."""
        pair = self.draws[0].pair
        return Wanted(pair.token_ids, pair.vocabulary)

    def estimates(self, instrument: Instrument) -> list[Estimate]:
        """What each draw costs. Raises ResourceError where one cell alone is too large for the memory."""
        return [
            estimate(
                instrument, draw.runs.base, draw.runs.run_source(instrument), draw.sets, self.budget.bytes
            )
            for draw in self.draws
        ]


def plan(instrument: Instrument, task: Task) -> Plan:
    """Decide everything that a request leaves open. Raises RequestError naming the parameter."""
    params = task.request.params
    (prompt,) = task.prompts(instrument)
    component = one_of(params, "component", COMPONENTS, "z")
    direction = one_of(params, "direction", DIRECTIONS)
    positions = _positions(params.get("positions", "all"), prompt)
    cells = all_cells(component, instrument.shape, positions)
    draws = [_draw(pair, direction, component, cells) for pair in pairs_of(instrument, task, 0, prompt)]
    if not any(nodes for draw in draws for nodes in draw.sets):
        raise RequestError(
            "None of the chosen positions has a counterpart in the corrupted prompt, so nothing can be patched. "
            "Choose other positions, or a corruption of equal length such as swap_options."
        )
    budget = chosen_budget(params.get("budget", {}))
    return Plan(prompt, component, direction, positions, cells, draws, budget)


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """One sweep for each corrupted prompt, re-checked on a handful of cells against whole forward passes.

    Arrays: `values` and `recovered`, with the component's axes; recovered is (value - corrupted) / (clean - corrupted).
    Over several corrupted prompts they are means, and `values_spread`, `recovered_spread` the standard deviations. NaN
    where a position has no counterpart in a corrupted prompt.
    """
    chosen = plan(instrument, task)
    for draw, found in zip(chosen.draws, chosen.estimates(instrument), strict=True):
        source = draw.runs.run_source(instrument)
        run = experiments(instrument, draw.runs.base, source, draw.sets)
        refuse_beyond(instrument, chosen.budget, found, len(draw.runs.base), run)
    picture = _Picture(instrument, chosen)
    sizes = (len(chosen.draws), len(chosen.cells), len(chosen.wanted.token_ids))
    board = Board(sizes, task.checkpoint, lambda: _show(task, picture, board))
    swept: list[Swept] = []
    for number, draw in enumerate(chosen.draws):
        source = draw.runs.run_source(instrument)
        swept.append(
            board.sweep(
                instrument,
                draw.runs.base,
                source,
                draw.sets,
                chosen.wanted,
                number,
                progress,
                chosen.budget.bytes,
            )
        )
    progress("Re-checking some cells against whole passes")
    errors = [
        recheck(
            instrument,
            draw.runs.base,
            draw.runs.run_source(instrument),
            draw.sets,
            chosen.wanted,
            found,
            count=max(2, RECHECKED // len(swept)),
        )
        for draw, found in zip(chosen.draws, swept, strict=True)
    ]
    checks = {"oracle_error": (max(errors), tolerance(instrument).logits)}
    return picture.findings(board, swept[0].engine, checks)


def cost(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """What `run` of the same request would take here. Scalars `expected_seconds`, `expected_bytes`, `cells`."""
    found = plan(instrument, task).estimates(instrument)
    progress("Measuring this machine")
    return Findings(
        scalars={
            "expected_seconds": sum(expected_seconds(instrument, part.flops) for part in found),
            "expected_bytes": max(part.peak_bytes for part in found),
            "cells": sum(part.cells for part in found),
        }
    )


class _Picture:
    """Turns labels' logits into findings, again and again as more of them are known."""

    def __init__(self, instrument: Instrument, chosen: Plan) -> None:
        self._instrument = instrument
        self._chosen = chosen
        self._ends = [draw.pair.ends(instrument) for draw in chosen.draws]

    @cached_property
    def _fixed(self) -> dict[str, Any]:
        """The scalars that do not wait for the sweep."""
        chosen, draws = self._chosen, self._chosen.draws
        tokenizer = self._instrument.tokenizer
        run = [
            experiments(self._instrument, draw.runs.base, draw.runs.run_source(self._instrument), draw.sets)
            for draw in draws
        ]
        return {
            **prompt_scalars(chosen.prompt),
            **pair_scalars([draw.pair for draw in draws], self._ends),
            "positions": list(chosen.positions),
            "corrupted_tokens": [tokenizer.decode([token]) for token in draws[0].pair.other.token_ids],
            "component": chosen.component,
            "direction": chosen.direction,
            "first_difference": min(draw.runs.first_difference() for draw in draws),
            "cells": len(chosen.cells) * len(draws),
            "cells_skipped": sum(
                sum(bool(nodes) for nodes in draw.sets) - len(some)
                for draw, some in zip(draws, run, strict=True)
            ),
            "cells_unmatched": sum(not nodes for draw in draws for nodes in draw.sets),
        }

    def findings(
        self, board: Board, engine: str, checks: dict[str, tuple[float, float]] | None = None
    ) -> Findings:
        """What is known so far."""
        chosen, component = self._chosen, COMPONENTS[self._chosen.component]
        values, recovered = self._values(board)
        ticks = layer_head_ticks(self._instrument)
        heads = component.head_count(self._instrument.shape)
        arrays = {"values": self._mean(values), "recovered": self._mean(recovered)}
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
            scalars={**self._fixed, "engine": engine},
            checks=checks or {},
        )

    def _values(self, board: Board) -> tuple[Float[Tensor, "draw cell"], Float[Tensor, "draw cell"]]:
        """The metric of every cell, and the share recovered; NaN where both runs score the same."""
        values, recovered = [], []
        for number, (draw, (clean, corrupted)) in enumerate(zip(self._chosen.draws, self._ends, strict=True)):
            logsumexp = board.logsumexp[number] if draw.pair.vocabulary else None
            value = draw.pair.values(self._instrument, board.logits[number], logsumexp)
            values.append(value)
            span = clean - corrupted
            recovered.append((value - corrupted) / span if span else torch.full_like(value, float("nan")))
        return torch.stack(values), torch.stack(recovered)

    def _mean(self, values: Float[Tensor, "draw cell"]) -> Tensor:
        return self._grid(values.mean(0))

    def _grid(self, flat: Float[Tensor, " cell"]) -> Tensor:
        heads = COMPONENTS[self._chosen.component].head_count(self._instrument.shape)
        layers = self._instrument.shape.layers
        return flat.view(layers, *([] if heads is None else [heads]), len(self._chosen.positions))


def _draw(pair: Pair, direction: str, component: str, cells: list[Cell]) -> Draw:
    """The cells, given at positions of the clean prompt, as nodes of the base run."""
    runs = pair.runs(direction)
    aligned = component != "pattern" or pair.other.aligned
    sets: list[list[Node]] = []
    for cell in cells:
        place = runs.places[cell.position] if aligned else None
        sets.append([] if place is None else [(component, Cell(cell.layer, place, cell.head))])
    return Draw(pair, runs, sets)


def _show(task: Task, picture: _Picture, board: Board) -> None:
    if task.show is not None:
        task.show(picture.findings(board, "cone"))


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
                f"Position {shown(position)} is out of range: the prompt has {count} tokens, counted from 0."
            )
    return tuple(dict.fromkeys(data))


PATCHING = Analysis(
    name="patching",
    version=2,
    summary="activation patching of one component over layers, heads and positions, exact and re-checked",
    takes=("question",),
    run=run,
    params=PARAMS,
)
PATCHING_COST = Analysis(
    name="patching-cost",
    version=2,
    summary="how long patching with the same parameters takes on this machine, and how much memory",
    takes=("question",),
    run=cost,
    params=PARAMS,
)
