"""Patching experiments: a source's activations put, cell by cell or set by set, into the base run."""

import random
from collections.abc import Sequence

import torch

from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress, give_way, silent
from backend.engine.instrument import Instrument
from backend.engine.products import usual_rows
from backend.engine.sweep.batching import (
    batch_rows,
    budget_for,
    least_budget,
    passes,
    refuse_cramped,
    rows_at_once,
    set_aside,
)
from backend.engine.sweep.cells import Cell, Node, check_node
from backend.engine.sweep.cone import ConePass, RowLimit
from backend.engine.sweep.cost import Estimate, cost_of, needs_whole_model
from backend.engine.sweep.experiment import Experiment, effective
from backend.engine.sweep.partial_results import OnDone, PartialResults, Swept
from backend.engine.sweep.readout import Wanted, readout_of_rows, readout_of_run
from backend.engine.sweep.source import Ids, Match, Patchable, Source, run_source
from backend.engine.sweep.whole_model import patched_run
from backend.engine.trace import Trace
from backend.models.memory import keep_freed

ENGINES = ("cone", "full")
Sets = Sequence[Sequence[Node]]


def sweep(
    instrument: Instrument,
    base_ids: Ids,
    source_ids: Ids,
    component: str,
    cells: Sequence[Cell],
    token_ids: Ids,
    *,
    match: Match | None = None,
    vocabulary: bool = False,
    engine: str = "cone",
    budget_bytes: int | None = None,
    progress: Progress = silent,
    on_done: OnDone | None = None,
) -> Swept:
    """Patch each cell of `component` alone: the source run's value into the base run.

    Args:
        base_ids, source_ids: the prompts. Denoising: corrupted and clean; noising: the reverse.
        cells: at positions of the base prompt.
        match: which source position stands for which base position; needed where their lengths differ.
        others: see `sweep_sets`, also for the errors.
    """
    return sweep_sets(
        instrument,
        base_ids,
        run_source(instrument, base_ids, source_ids, match, progress),
        each_alone(component, cells),
        Wanted(token_ids, vocabulary),
        engine=engine,
        budget_bytes=budget_bytes,
        progress=progress,
        on_done=on_done,
    )


def sweep_sets(
    instrument: Instrument,
    base_ids: Ids,
    source: Source,
    sets: Sets,
    wanted: Wanted,
    *,
    engine: str = "cone",
    budget_bytes: int | None = None,
    progress: Progress = silent,
    on_done: OnDone | None = None,
) -> Swept:
    """Experiments that each patch a set of nodes, of any components, together.

    Its cone begins at the set's first position and lowest layer.

    Args:
        source: where the patched values come from.
        wanted: the tokens whose logits are wanted, and what beside them.
        engine: "full" is slow and plain. Some models always get it, see `needs_whole_model`.
        budget_bytes: memory for the cells under way; by default a quarter of what is free.
        on_done: is given results as soon as they are there; each experiment comes by once.

    Raises:
        RequestError: a node that there is not or that has no value, an unknown engine.
        ResourceError: the memory is too little, see `least_budget`, or ran out.
        Cancelled: `progress` raised it; it is asked at least once a layer and batch.
    """
    if engine not in ENGINES:
        raise RequestError(f"Unknown engine {shown(engine)}. Engines: {', '.join(ENGINES)}.")
    if needs_whole_model(instrument):
        engine = "full"
    run = experiments(instrument, base_ids, source, sets)
    base = instrument.trace(base_ids, progress)
    results = PartialResults(readout_of_run(base.logits, base.resid_final[-1], wanted), len(sets), on_done)
    results.report_skipped(run)
    if engine == "full":
        _one_by_one(instrument, base_ids, source, run, wanted, progress, results)
    else:
        budget = budget_for(instrument) if budget_bytes is None else budget_bytes
        _by_cones(instrument, base, source, run, wanted, budget, progress, results)
    return Swept(results.logits, results.logsumexp, results.final, len(sets) - len(run), engine)


def recheck(
    instrument: Instrument,
    base_ids: Ids,
    source: Source,
    sets: Sets,
    wanted: Wanted,
    swept: Swept,
    *,
    count: int = 6,
    progress: Progress = silent,
) -> float:
    """The largest difference between a sweep's values and whole passes, over `count` random sets that it ran.

    NaN if any of its values is, or a whole pass'. Raises Cancelled between two layers when `progress` does.
    """
    run = experiments(instrument, base_ids, source, sets)
    errors = [torch.zeros(())]
    if swept.logits[[experiment.number for experiment in run]].isnan().any():
        errors.append(torch.tensor(float("nan")))
    drawn = random.Random(0).sample(run, min(count, len(run)))
    for done, experiment in enumerate(drawn):
        within = _standing_at(progress, "Re-checking some cells against whole passes", done, len(drawn))
        own = readout_of_run(*patched_run(instrument, base_ids, source, experiment, within), wanted)
        for mine, theirs in ((own.logits, swept.logits), (own.logsumexp, swept.logsumexp)):
            if mine is not None and theirs is not None:
                errors.append((mine[0] - theirs[experiment.number]).abs().max())
    return float(torch.stack(errors).max())


def estimate(
    instrument: Instrument,
    base_ids: Ids,
    source: Patchable,
    sets: Sets,
    budget_bytes: int | None = None,
    progress: Progress = silent,
) -> Estimate:
    """What `sweep_sets` of the same costs, whether or not its budget is enough.

    Raises:
        RequestError: as it would.
        Cancelled: `progress` raised it; it is asked before each of three parts.
    """
    counting = "Counting what it costs"
    tokens, cost = len(base_ids), cost_of(instrument)
    progress(counting)
    run = experiments(instrument, base_ids, source, sets)
    progress(counting)
    flops = sum(cost.flops(tokens, experiment) for experiment in run)
    progress(counting)
    budget = budget_for(instrument) if budget_bytes is None else budget_bytes
    return Estimate(flops, _peak_bytes(instrument, tokens, run, budget), budget, len(run))


def _peak_bytes(instrument: Instrument, tokens: int, run: list[Experiment], budget: int) -> int:
    cost, least = cost_of(instrument), least_budget(instrument, tokens, run)
    if cost.whole_model:
        return cost.call_bytes(tokens, tokens) if run else 0
    if budget < least or not run:
        return least
    states = [
        sum(cost.state_bytes(tokens, experiment) for experiment in part)
        for part in passes(instrument, tokens, run, budget)
    ]
    rows = min(batch_rows(instrument, tokens, budget), usual_rows(rows_at_once(tokens, run)))
    longest = cost.call_bytes(tokens, tokens - min(experiment.position for experiment in run))
    return set_aside(instrument) + max(states) + max(rows * cost.row_bytes(tokens), longest)


def experiments(instrument: Instrument, base_ids: Ids, source: Patchable, sets: Sets) -> list[Experiment]:
    """The sets that `sweep_sets` does not skip, numbered by their places. Raises RequestError."""
    for nodes in sets:
        for node in nodes:
            check_node(node, instrument.shape, len(base_ids))
            source.check(node)
    return effective(sets, instrument.shape.layers, len(base_ids), source)


def each_alone(component: str, cells: Sequence[Cell]) -> list[list[Node]]:
    """One set for each cell."""
    return [[(component, cell)] for cell in cells]


def _by_cones(
    instrument: Instrument,
    base: Trace,
    source: Source,
    run: list[Experiment],
    wanted: Wanted,
    budget: int,
    progress: Progress,
    results: PartialResults,
) -> None:
    refuse_cramped(instrument, base.positions, run, budget)
    keep_freed()
    cost = cost_of(instrument)
    limit = RowLimit(batch_rows(instrument, base.positions, budget))
    total, done = sum(cost.row_layers(base.positions, experiment) for experiment in run), 0

    def advanced(rows: int) -> None:
        nonlocal done
        done += rows
        progress("Patching", done, total)
        give_way()

    for part in passes(instrument, base.positions, run, budget):
        final = ConePass(instrument, base, source, part, limit, advanced).run()
        results.add([experiment.number for experiment in part], readout_of_rows(instrument, final, wanted))


def _one_by_one(
    instrument: Instrument,
    base_ids: Ids,
    source: Source,
    run: list[Experiment],
    wanted: Wanted,
    progress: Progress,
    results: PartialResults,
) -> None:
    progress("Patching", 0, len(run))
    for done, experiment in enumerate(run):
        within = _standing_at(progress, "Patching", done, len(run))
        patched = patched_run(instrument, base_ids, source, experiment, within)
        results.add([experiment.number], readout_of_run(*patched, wanted))
        progress("Patching", done + 1, len(run))
        give_way()


def _standing_at(progress: Progress, message: str, done: int, total: int) -> Progress:
    """Asks `progress` at each layer of a pass, and tells of whole passes only."""
    return lambda *_: progress(message, done, total)
