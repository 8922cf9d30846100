"""Run a sweep: patch each set of nodes into the base run, and read out the final position.

1. Experiments that cannot change the final logits are skipped; they get the base run's values.
2. The others are split into passes that fit into memory, late positions first (`batching.py`).
3. Each pass goes up the layers, all of its experiments together (`cone.py`).
4. Its last rows go through final norm and unembedding (`readout.py`), and its results are reported.

Example: two prompts of 4 tokens differ at token 2, and all 24 cells of `z` of a model with 3 layers of 2 heads are
swept. The 12 cells at positions 0 and 1 are skipped, because nothing differs there; so are the 2 cells at position 2 of
the last layer, which the final row does not read. 10 are run: 6 at position 3 with one row each, and 4 at position 2
with two rows each.
"""

from collections.abc import Collection, Iterator

from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress, give_way, silent
from backend.engine.instrument import Instrument
from backend.engine.sweep.batching import batch_rows, budget_for, check_budget, passes
from backend.engine.sweep.cone import ConePass
from backend.engine.sweep.cost import cost_of, needs_whole_model
from backend.engine.sweep.experiment import Experiment, Sweep
from backend.engine.sweep.partial_results import OnDone, PartialResults, Swept
from backend.engine.sweep.readout import Readout, readout_of_rows, readout_of_run
from backend.engine.sweep.row_limit import RowLimit
from backend.engine.sweep.whole_model import patched_run, step_of
from backend.engine.trace import Trace
from backend.models.memory import keep_freed

ENGINES = ("cone", "full")


def run_sweep(
    instrument: Instrument,
    sweep: Sweep,
    *,
    engine: str = "cone",
    budget_bytes: int | None = None,
    finished: Collection[int] = (),
    progress: Progress = silent,
    on_done: OnDone | None = None,
) -> Swept:
    """The final position of the base run after each experiment.

    Args:
        engine: "cone" recomputes what can change. "full" runs the whole model for each experiment, which is slow and
            simple; a model that cannot be run layer by layer always gets it, see `needs_whole_model`.
        budget_bytes: memory for the experiments under way; by default a quarter of what is free.
        finished: numbers of experiments that are not run, because their results are known; their rows of the result
            are the base run's. The others go through the layers in the same passes as without it, and with the same
            budget their results are equal to the last bit.
        on_done: called with results as soon as they are there, once for each experiment that is not in `finished`.

    Raises:
        RequestError: a node that the model does not have or that has no value, or an unknown engine.
        ResourceError: the memory is too little, see `least_budget`, or ran out.
        Cancelled: `progress` raised it; it is called at least once a layer and batch.
    """
    if engine not in ENGINES:
        raise RequestError(f"Unknown engine {shown(engine)}. Engines: {', '.join(ENGINES)}.")
    if needs_whole_model(instrument):
        engine = "full"
    run = sweep.experiments(instrument)
    base = instrument.trace(sweep.base_ids, progress)
    of_base = readout_of_run(base.logits, base.resid_final[-1], sweep.wanted)
    results = PartialResults(of_base, len(sweep.sets), on_done)
    known = set(finished)
    results.report_skipped(run, known)
    if engine == "full":
        ran = _whole_model(instrument, sweep, _left(run, known), progress)
    else:
        budget = budget_for(instrument) if budget_bytes is None else budget_bytes
        check_budget(instrument, base.positions, _left(run, known), budget)
        split = passes(instrument, base.positions, run, budget)
        ran = _by_cones(instrument, sweep, base, [_left(part, known) for part in split], budget, progress)
    for numbers, readout in ran:
        results.add(numbers, readout)
    return Swept(results.logits, results.logsumexp, results.final, len(sweep.sets) - len(run), engine)


def _by_cones(
    instrument: Instrument,
    sweep: Sweep,
    base: Trace,
    split: list[list[Experiment]],
    budget: int,
    progress: Progress,
) -> Iterator[tuple[list[int], Readout]]:
    """The numbers and results of each pass's experiments; an empty pass is left out."""
    keep_freed()
    cost = cost_of(instrument)
    limit = RowLimit(batch_rows(instrument, base.positions, budget))
    total, done = sum(cost.row_layers(base.positions, experiment) for part in split for experiment in part), 0

    def advanced(rows: int) -> None:
        nonlocal done
        done += rows
        progress("Patching", done, total)
        give_way()

    for part in filter(None, split):
        final = ConePass(instrument, [base], sweep.source, part, limit, advanced).run()
        yield [experiment.number for experiment in part], readout_of_rows(instrument, final, sweep.wanted)


def _whole_model(
    instrument: Instrument, sweep: Sweep, run: list[Experiment], progress: Progress
) -> Iterator[tuple[list[int], Readout]]:
    """The number and result of each experiment."""
    progress("Patching", 0, len(run))
    for done, experiment in enumerate(run):
        within = step_of(progress, "Patching", done, len(run))
        patched = patched_run(instrument, sweep.base_ids, sweep.source, experiment, within)
        yield [experiment.number], readout_of_run(*patched, sweep.wanted)
        progress("Patching", done + 1, len(run))
        give_way()


def _left(experiments: list[Experiment], finished: set[int]) -> list[Experiment]:
    return [experiment for experiment in experiments if experiment.number not in finished]
