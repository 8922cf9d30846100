"""A sweep's results against forward passes of the whole model."""

import random

import torch

from backend.contract.progress import Progress, give_way, silent
from backend.engine.instrument import Instrument
from backend.engine.sweep.experiment import Sweep
from backend.engine.sweep.partial_results import Swept
from backend.engine.sweep.readout import readout_of_run
from backend.engine.sweep.whole_model import patched_runs, run_together, step_of

MESSAGE = "Re-checking some cells against passes of the whole model"


def recheck(
    instrument: Instrument, sweep: Sweep, swept: Swept, *, count: int = 6, progress: Progress = silent
) -> float:
    """The largest absolute difference of logits (and logsumexp) between a sweep and passes of the whole model.

    Compared are `count` random experiments that the sweep ran, always the same ones of a sweep. NaN if any value of the
    sweep or of these passes is NaN. Raises Cancelled between two layers when `progress` does.
    """
    run = sweep.experiments(instrument)
    errors = [0.0]
    if swept.logits[[experiment.number for experiment in run]].isnan().any():
        errors.append(float("nan"))
    drawn = random.Random(0).sample(run, min(count, len(run)))
    together = run_together(instrument, len(sweep.base_ids))
    for done in range(0, len(drawn), together):
        give_way()
        within, some = step_of(progress, MESSAGE, done, len(drawn)), drawn[done : done + together]
        passed = patched_runs(instrument, sweep.base_ids, sweep.source, some, within)
        for experiment, logits, final in zip(some, *passed, strict=True):
            own = readout_of_run(logits, final, sweep.wanted)
            for mine, theirs in ((own.logits, swept.logits), (own.logsumexp, swept.logsumexp)):
                if mine is not None and theirs is not None:
                    errors.append(float((mine[0] - theirs[experiment.number]).abs().max()))
    return float(torch.tensor(errors).max())
