"""Sweeps over several prompts: the cells of many questions go through a layer together.

A layer's weights are then read once for all of them, and no small batch remains at the end of each question's sweep.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from backend.contract.progress import Progress, give_way, silent
from backend.engine.instrument import Instrument
from backend.engine.sweep.batching import batch_rows, budget_for, limits_of
from backend.engine.sweep.cells import Cell
from backend.engine.sweep.cone import ConePass
from backend.engine.sweep.cost import cost_of, needs_whole_model
from backend.engine.sweep.experiment import Experiment, Sweep
from backend.engine.sweep.partial_results import PartialResults, Swept
from backend.engine.sweep.readout import Readout, readout_of_rows, readout_of_run
from backend.engine.sweep.row_limit import RowLimit
from backend.engine.sweep.source import Source
from backend.engine.sweep.sweep import run_sweep
from backend.engine.trace import Trace

MESSAGE = "Patching the questions"


def run_sweeps(
    instrument: Instrument, sweeps: Iterable[Sweep], count: int, progress: Progress = silent
) -> Iterator[Swept]:
    """What `run_sweep` gives for each of `count` sweeps, in their order.

    Sweeps are taken from the iterable as they are run, so that the traces of only some of them are in memory. Numbers
    may differ from those of `run_sweep` by rounding, because the batches are larger. Raises as `run_sweep` does.
    """
    done = 0

    def within(message: str, step: int = 0, steps: int = 0) -> None:
        progress(MESSAGE, done, count)

    for pool in _pools(instrument, sweeps):
        within("")
        yield from pool.run(instrument, within)
        done += len(pool.sweeps)


@dataclass
class _Pool:
    """Sweeps that are run together.

    Attributes:
        flops, held: what all their experiments take, in floating-point operations and in bytes.
    """

    sweeps: list[Sweep] = field(default_factory=list)
    bases: list[Trace] = field(default_factory=list)
    runs: list[list[Experiment]] = field(default_factory=list)
    flops: float = 0.0
    held: int = 0

    def run(self, instrument: Instrument, progress: Progress) -> Iterator[Swept]:
        """The results of its sweeps. One that is alone, perhaps since it is large, is run by itself."""
        if len(self.sweeps) == 1:
            yield run_sweep(instrument, self.sweeps[0], progress=progress)
            return
        total = [
            PartialResults(_of_base(base, sweep), len(sweep.sets), None)
            for base, sweep in zip(self.bases, self.sweeps, strict=True)
        ]
        experiments = [replace(one, number=number) for number, (_, one) in enumerate(self._numbered())]
        if experiments:
            final = self._final(instrument, experiments, progress)
            first = 0
            for results, sweep, run in zip(total, self.sweeps, self.runs, strict=True):
                if run:
                    rows = final[first : first + len(run)]
                    results.add([one.number for one in run], readout_of_rows(instrument, rows, sweep.wanted))
                first += len(run)
        for results, sweep, run in zip(total, self.sweeps, self.runs, strict=True):
            skipped = len(sweep.sets) - len(run)
            yield Swept(results.logits, results.logsumexp, results.final, skipped, "cone")

    def _numbered(self) -> list[tuple[int, Experiment]]:
        """All experiments, each with its own number in its sweep and the run of its sweep."""
        return [(one.number, replace(one, run=index)) for index, run in enumerate(self.runs) for one in run]

    def _final(
        self, instrument: Instrument, experiments: Sequence[Experiment], progress: Progress
    ) -> Float[Tensor, "experiment d_model"]:
        tokens = max(base.positions for base in self.bases)
        limit = RowLimit(batch_rows(instrument, tokens, budget_for(instrument)))
        source = _Joined([sweep.source for sweep in self.sweeps], self._numbered())

        def advanced(rows: int) -> None:
            progress(MESSAGE)
            give_way()

        return ConePass(instrument, self.bases, source, experiments, limit, advanced).run()


class _Joined(Source):
    """The sources of several sweeps, by the numbers that their experiments have together."""

    def __init__(self, sources: Sequence[Source], numbered: Sequence[tuple[int, Experiment]]) -> None:
        self._sources, self._numbered = sources, numbered

    def values(
        self, component: str, layer: int, wanted: Sequence[tuple[int, Cell]]
    ) -> Float[Tensor, "wanted size"]:
        found: list[Tensor] = [torch.empty(0)] * len(wanted)
        by_run: dict[int, list[int]] = {}
        for index, (number, _) in enumerate(wanted):
            by_run.setdefault(self._numbered[number][1].run, []).append(index)
        for run, indices in by_run.items():
            own = [(self._numbered[wanted[index][0]][0], wanted[index][1]) for index in indices]
            for index, value in zip(indices, self._sources[run].values(component, layer, own), strict=True):
                found[index] = value
        return torch.stack(found)


def _pools(instrument: Instrument, sweeps: Iterable[Sweep]) -> Iterator[_Pool]:
    """Sweeps in groups as large as one pass may be, in time and in memory."""
    cost, most = cost_of(instrument), limits_of(instrument.resolved.device).flops
    memory = budget_for(instrument) // 2
    alone, pool = needs_whole_model(instrument), _Pool()
    for sweep in sweeps:
        tokens, run = len(sweep.base_ids), sweep.experiments(instrument)
        base = _base(instrument, sweep, run)
        flops = sum(cost.flops(tokens, one) for one in run)
        held = base.nbytes + sum(cost.state_bytes(tokens, one) for one in run)
        if pool.sweeps and (alone or pool.flops + flops > most or pool.held + held > memory):
            yield pool
            pool = _Pool()
        pool.sweeps.append(sweep)
        pool.bases.append(base)
        pool.runs.append(run)
        pool.flops, pool.held = pool.flops + flops, pool.held + held
    if pool.sweeps:
        yield pool


def _base(instrument: Instrument, sweep: Sweep, run: Sequence[Experiment]) -> Trace:
    """The base run's trace; that of the final position where only cells there are patched."""
    final = all(one.position == len(sweep.base_ids) - 1 for one in run)
    return instrument.final_trace(sweep.base_ids, many=True) if final else instrument.trace(sweep.base_ids)


def _of_base(base: Trace, sweep: Sweep) -> Readout:
    return readout_of_run(base.logits, base.resid_final[-1], sweep.wanted)
