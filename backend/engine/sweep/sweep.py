"""Patching experiments: the source run's activations put, cell by cell or set by set, into the base run."""

import random
from collections.abc import Sequence

from backend.engine.instrument import Instrument
from backend.engine.sweep.base import BaseRun, record
from backend.engine.sweep.cells import Cell, Node, check_node
from backend.engine.sweep.cone import ConePass, RowLimit
from backend.engine.sweep.cost import Estimate, cost_of, total_flops
from backend.engine.sweep.experiment import Numbered, effective
from backend.engine.sweep.full import patched_logits
from backend.engine.sweep.kept import Kept, OnDone, Swept
from backend.engine.sweep.plan import batch_rows, budget_for, passes
from backend.engine.sweep.readout import of_logits, read
from backend.engine.trace import Trace, trace
from backend.errors import RequestError, shown
from backend.progress import Progress, silent

ENGINES = ("cone", "full")
Ids = tuple[int, ...]


def sweep(
    instrument: Instrument,
    base_ids: Ids,
    source_ids: Ids,
    component: str,
    cells: Sequence[Cell],
    token_ids: Ids,
    *,
    vocabulary: bool = False,
    engine: str = "cone",
    budget_bytes: int | None = None,
    progress: Progress = silent,
    on_done: OnDone | None = None,
) -> Swept:
    """Patch each cell of `component` alone: the source run's value into the base run.

    Args:
        base_ids, source_ids: prompts of the same length. Denoising: corrupted and clean; noising: the reverse.
        token_ids: the tokens whose logits are wanted.
        vocabulary: whether the log of the sum of exp over all tokens is wanted too.
        engine: "full" is slow and plain. A model whose numbers depend on what shares a batch always gets it.
        budget_bytes: memory for the cells under way; by default a quarter of what is free.
        on_done: is given results as soon as they are there; each cell comes by once.

    Raises:
        RequestError: a cell that there is not, prompts of different lengths, an unknown engine.
        ResourceError: one cell alone does not fit into the memory.
        Cancelled: `progress` raised it; it is asked at least once a layer and batch.
    """
    return sweep_sets(
        instrument,
        base_ids,
        source_ids,
        [[(component, cell)] for cell in cells],
        token_ids,
        vocabulary=vocabulary,
        engine=engine,
        budget_bytes=budget_bytes,
        progress=progress,
        on_done=on_done,
    )


def sweep_sets(
    instrument: Instrument,
    base_ids: Ids,
    source_ids: Ids,
    sets: Sequence[Sequence[Node]],
    token_ids: Ids,
    *,
    vocabulary: bool = False,
    engine: str = "cone",
    budget_bytes: int | None = None,
    progress: Progress = silent,
    on_done: OnDone | None = None,
) -> Swept:
    """As `sweep`, each experiment patching a set of nodes, of any components, together.

    Its cone begins at the set's first position and lowest layer.
    """
    _check(instrument, base_ids, source_ids, sets)
    if engine not in ENGINES:
        raise RequestError(f"Unknown engine {shown(engine)}. Engines: {', '.join(ENGINES)}.")
    if instrument.resolved.quantization == "8bit":
        engine = (
            "full"  # LLM.int8 takes outliers from the whole batch: a row's numbers depend on its neighbours
        )
    base = record(instrument, base_ids, progress)
    source = trace(instrument.model, instrument.family, source_ids, progress)
    kept = Kept(of_logits(base.trace.logits, token_ids, vocabulary), len(sets), on_done)
    run = effective(sets, instrument.shape.layers, len(base_ids), first_difference(base_ids, source_ids))
    kept.skip(run)
    if engine == "full":
        _one_by_one(instrument, base_ids, source, run, token_ids, progress, kept)
    else:
        budget = budget_for(instrument) if budget_bytes is None else budget_bytes
        _by_cones(instrument, base, source, run, token_ids, budget, progress, kept)
    return Swept(kept.logits, kept.logsumexp, len(sets) - len(run), engine)


def recheck(
    instrument: Instrument,
    base_ids: Ids,
    source_ids: Ids,
    component: str,
    cells: Sequence[Cell],
    token_ids: Ids,
    *,
    swept: Swept,
    count: int = 6,
    seed: int = 0,
) -> float:
    """The largest difference between a sweep's values and whole passes, over `count` random cells that it ran."""
    sets = [[(component, cell)] for cell in cells]
    run = effective(sets, instrument.shape.layers, len(base_ids), first_difference(base_ids, source_ids))
    chosen = random.Random(seed).sample(run, min(count, len(run)))
    if not chosen:
        return 0.0
    source = trace(instrument.model, instrument.family, source_ids)
    errors = []
    for number, experiment in chosen:
        logits = patched_logits(instrument, base_ids, source, experiment.nodes)
        own = of_logits(logits, token_ids, swept.logsumexp is not None)
        errors.append(float((own.logits[0] - swept.logits[number]).abs().max()))
        if own.logsumexp is not None and swept.logsumexp is not None:
            errors.append(float((own.logsumexp[0] - swept.logsumexp[number]).abs()))
    return max(errors)


def estimate(
    instrument: Instrument,
    base_ids: Ids,
    source_ids: Ids,
    component: str,
    cells: Sequence[Cell],
    budget_bytes: int | None = None,
) -> Estimate:
    """What `sweep` of the same by cones would cost. Raises RequestError and ResourceError as it would."""
    sets = [[(component, cell)] for cell in cells]
    _check(instrument, base_ids, source_ids, sets)
    tokens, cost = len(base_ids), cost_of(instrument)
    run = effective(sets, instrument.shape.layers, tokens, first_difference(base_ids, source_ids))
    budget = budget_for(instrument) if budget_bytes is None else budget_bytes
    states = [
        sum(cost.state_bytes(tokens, experiment) for _, experiment in part)
        for part in passes(instrument, tokens, run, budget)
    ]
    batch = batch_rows(instrument, tokens, budget) * cost.row_bytes(tokens)
    flops = total_flops(instrument, tokens, (experiment for _, experiment in run))
    return Estimate(flops=flops, peak_bytes=max(states, default=0) + batch, cells=len(run))


def changing(
    instrument: Instrument, tokens: int, component: str, cells: Sequence[Cell], first: int
) -> list[int]:
    """The numbers of the cells that `sweep` does not skip where the prompts differ from position `first` on."""
    sets = [[(component, cell)] for cell in cells]
    return [number for number, _ in effective(sets, instrument.shape.layers, tokens, first)]


def first_difference(base_ids: Sequence[int], source_ids: Sequence[int]) -> int:
    """The first position whose activations may differ; the prompts' length where they are equal.

    >>> first_difference([5, 6, 7], [5, 9, 7])
    1
    """
    pairs = zip(base_ids, source_ids, strict=True)
    return next((i for i, (mine, other) in enumerate(pairs) if mine != other), len(base_ids))


def _check(instrument: Instrument, base_ids: Ids, source_ids: Ids, sets: Sequence[Sequence[Node]]) -> None:
    if len(base_ids) != len(source_ids):
        raise RequestError(
            f"The clean and the corrupted prompt must have the same number of tokens; they have {len(base_ids)} "
            f"and {len(source_ids)}. Change the wording of one until they agree."
        )
    for nodes in sets:
        for node in nodes:
            check_node(node, instrument.shape, len(base_ids))


def _by_cones(
    instrument: Instrument,
    base: BaseRun,
    source: Trace,
    run: Numbered,
    token_ids: Ids,
    budget: int,
    progress: Progress,
    kept: Kept,
) -> None:
    cost = cost_of(instrument)
    limit = RowLimit(batch_rows(instrument, base.tokens, budget))
    total, done = sum(cost.row_layers(base.tokens, experiment) for _, experiment in run), 0

    def advanced(rows: int) -> None:
        nonlocal done
        done += rows
        progress("Patching", done, total)

    for part in passes(instrument, base.tokens, run, budget):
        experiments = [experiment for _, experiment in part]
        final = ConePass(instrument, base, source, experiments, limit, advanced).run()
        kept.put(
            [number for number, _ in part], read(instrument, final, token_ids, kept.logsumexp is not None)
        )


def _one_by_one(
    instrument: Instrument,
    base_ids: Ids,
    source: Trace,
    run: Numbered,
    token_ids: Ids,
    progress: Progress,
    kept: Kept,
) -> None:
    progress("Patching", 0, len(run))
    for done, (number, experiment) in enumerate(run, start=1):
        logits = patched_logits(instrument, base_ids, source, experiment.nodes)
        kept.put([number], of_logits(logits, token_ids, kept.logsumexp is not None))
        progress("Patching", done, len(run))
