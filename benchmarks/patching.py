"""What activation patching costs: `scripts/bench patching [--model NAME]`.

Beside TransformerLens (in .venv-bench, made on the first run) on the same weights, dtype and threads: the whole grid
by our cones, a sample of its cells by TransformerLens and its mean for the rest; the largest difference between the
logits of both; the floating-point bound of the cones at the matrix speed measured all the while; and the peak memory.
A grid's first sweep compiles the kernels that no grid before it did; what is compared with TransformerLens is that one,
with the two runs that it needs, although TransformerLens' first cell is left out. The bound is compared with it and,
for the short grids, with the median of more. Then the cost of a cell by the prompt's length, the peak memory by
the budget, and bfloat16 with its drift.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType

import torch

from backend.contract.model import ModelSpec
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    Cell,
    Estimate,
    Pairing,
    Sweep,
    Swept,
    Wanted,
    all_cells,
    each_alone,
    estimate,
    recheck,
    run_source,
    run_sweep,
)
from backend.models import fetch, load
from backend.models.catalogue import SMALL_MODEL
from backend.models.memory import trim_heap
from benchmarks.bench_venv import ROOT, THEIRS, make_bench_venv
from benchmarks.matrix_speed import matrix_speed, timed_product

MKL_SETTING = "MKL_CBWR"
"""Ours, for faster products; TransformerLens leaves it to who starts it, and is timed without."""
BUDGET = 512 * 2**20
TEXT = (
    "A highly knowledgeable and intelligent artificial intelligence model answers multiple-choice questions about "
    "birds. Which of these is the color of a raven, seen at noon from a short distance by somebody who knows them?\n"
    "(A) red\n(B) black\n(C) white\n(D) green\nAnswer: ("
)
Ids = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A grid of cells on a pair of prompts of `tokens` tokens that differ from `first` on."""

    name: str
    component: str
    tokens: int
    first: int
    final: bool = False
    repeats: int = 0

    def cells(self, instrument: Instrument) -> list[Cell]:
        """All cells, the skipped ones too."""
        positions = [self.tokens - 1] if self.final else range(self.tokens)
        return all_cells(self.component, instrument.shape, positions)


CASES = (
    Case("head x position", "z", 43, 30),
    Case("heads, final position", "z", 43, 30, final=True, repeats=15),
    Case("layer x position", "resid_pre", 43, 30, repeats=5),
    Case("head x position", "z", 80, 60),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SMALL_MODEL)
    parser.add_argument("--sample", type=int, default=40, help="cells of each grid that TransformerLens runs")
    arguments = parser.parse_args()
    make_bench_venv()
    instrument = loaded(arguments.model, "float32")
    plain_pass(instrument)
    print(f"{arguments.model}, float32, {torch.get_num_threads()} threads, budget {BUDGET / 1e6:.0f} MB")
    print(
        "tokens  grid                    cells    run   ours s  theirs s  times  largest diff."
        "  two runs s  cones s  bound s  cones/bound  again s  again/bound  peak MB"
    )
    for case in CASES:
        side_by_side(instrument, case, arguments.sample)
    with_our_setting(instrument, arguments.sample)
    by_length(instrument)
    by_budget(arguments.model)
    bfloat16(instrument, arguments.model)


def side_by_side(instrument: Instrument, case: Case, sample: int) -> None:
    """One line of the table."""
    clean, corrupted = pair(instrument, case.tokens, case.first)
    cells, tokens = case.cells(instrument), answers(instrument)
    instrument = Instrument(instrument.loaded)  # no run of these prompts is kept from the case before
    meter, memory = SpeedMeter(instrument), PeakMemory()
    begun = time.perf_counter()
    for prompt in (corrupted, clean):
        instrument.trace(prompt)
    runs = time.perf_counter() - begun
    arguments = (corrupted, clean, case.component, cells, tokens)
    swept, cones = timed_sweep(instrument, arguments, meter)
    peak = memory.peak()
    chosen = random.Random(0).sample(range(len(cells)), min(sample, len(cells)))
    their_seconds, their_logits = transformer_lens(
        instrument, case, corrupted, clean, [cells[i] for i in chosen]
    )
    theirs = their_seconds * len(cells)
    difference = float((swept.logits[chosen] - their_logits).abs().max())
    least = cost(instrument, corrupted, clean, case.component, cells)
    bound = least.seconds(meter.speed())
    row = f"{case.tokens:6d}  {case.name:22s} {len(cells):6d} {len(cells) - swept.skipped:6d}"
    row += f" {runs + cones:8.2f} {theirs:9.0f} {theirs / (runs + cones):6.0f} {difference:14.1e}"
    row += f" {runs:11.2f} {cones:8.2f} {bound:8.2f} {cones / bound:12.2f}"
    row += again(instrument, arguments, least, case.repeats) + f" {peak / 1e6:8.0f}"
    print(f"{row}   ({meter.speed() / 1e9:.0f} GFLOP/s, {their_seconds:.2f} s a cell)", flush=True)


def timed_sweep(
    instrument: Instrument, arguments: tuple[Ids, Ids, str, Sequence[Cell], Ids], meter: "SpeedMeter"
) -> tuple[Swept, float]:
    """A sweep and its seconds without the meter's."""
    begun, before = time.perf_counter(), meter.taken
    swept = run_sweep(instrument, one_component(instrument, *arguments), budget_bytes=BUDGET, progress=meter)
    return swept, time.perf_counter() - begun - (meter.taken - before)


def again(
    instrument: Instrument,
    arguments: tuple[Ids, Ids, str, Sequence[Cell], Ids],
    least: Estimate,
    repeats: int,
) -> str:
    """The medians of seconds and of their share of the bound, each at the speed of its own sweep."""
    if not repeats:
        return f" {'':8s} {'':12s}"
    taken, shares = [], []
    for _ in range(repeats):
        meter = SpeedMeter(instrument)
        seconds = timed_sweep(instrument, arguments, meter)[1]
        taken.append(seconds)
        shares.append(seconds / least.seconds(meter.speed()))
    return f" {statistics.median(taken):8.2f} {statistics.median(shares):12.2f}"


def with_our_setting(instrument: Instrument, sample: int) -> None:
    """A cell of TransformerLens once more, with our setting for MKL."""
    case = CASES[1]
    clean, corrupted = pair(instrument, case.tokens, case.first)
    cells = random.Random(0).sample(case.cells(instrument), sample)
    setting = {MKL_SETTING: os.environ[MKL_SETTING]}
    seconds, _ = transformer_lens(instrument, case, corrupted, clean, cells, setting)
    print(f"TransformerLens with our {MKL_SETTING}, {case.name}: {seconds:.2f} s a cell", flush=True)


def by_length(instrument: Instrument) -> None:
    """What a cell costs, averaged over the last quarter of prompts of several lengths."""
    print("tokens  cells run  ms a cell  GFLOP a cell   (all heads at a few positions of the last quarter)")
    for tokens in (20, 60, 200):
        first = tokens * 3 // 4
        clean, corrupted = pair(instrument, tokens, first)
        cells = all_cells("z", instrument.shape, range(first, tokens, max(1, tokens // 12)))
        begun = time.perf_counter()
        asked = one_component(instrument, corrupted, clean, "z", cells, answers(instrument))
        swept = run_sweep(instrument, asked, budget_bytes=BUDGET)
        seconds = time.perf_counter() - begun
        run = len(cells) - swept.skipped
        flops = cost(instrument, corrupted, clean, "z", cells).flops
        print(f"{tokens:6d}  {run:9d}  {1000 * seconds / run:9.2f}  {flops / run / 1e9:12.2f}", flush=True)


def by_budget(model: str) -> None:
    """What a sweep of all heads at a few positions takes of budgets, the least that is enough first."""
    print("budget MB  expected MB  peak MB   (all heads at 4 positions, the two runs apart)")
    # A process for each: what one compiled would be there for the next.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for more in (0, 10_000_000, 40_000_000, 170_000_000, 450_000_000):
            row = processes.submit(peak_within, model, more).result()
            print("{:9.0f}  {:11.0f}  {:7.0f}".format(*(part / 1e6 for part in row)), flush=True)


def peak_within(model: str, more: int) -> tuple[int, int, int]:
    """A budget of so much more than the least, the peak memory that is expected of a sweep, and the one it has."""
    instrument, case = loaded(model, "float32"), CASES[0]
    clean, corrupted = pair(instrument, case.tokens, case.first)
    cells = all_cells(case.component, instrument.shape, range(case.first, case.tokens, 4))
    asked = one_component(instrument, corrupted, clean, case.component, cells, answers(instrument))
    instrument.trace(corrupted)
    budget = more + estimate(instrument, corrupted, asked.source, asked.sets, 0).peak_bytes
    expected = estimate(instrument, corrupted, asked.source, asked.sets, budget)
    memory = PeakMemory()
    run_sweep(instrument, asked, budget_bytes=budget)
    return budget, expected.peak_bytes, memory.peak()


def bfloat16(exact: Instrument, model: str) -> None:
    """The heads at the final position once more: seconds, and how far the logits drift."""
    half = loaded(model, "bfloat16")
    case = CASES[1]
    clean, corrupted = pair(exact, case.tokens, case.first)
    cells, tokens = case.cells(exact), answers(exact)
    arguments = (corrupted, clean, case.component, cells, tokens)
    reference = run_sweep(exact, one_component(exact, *arguments)).logits
    begun = time.perf_counter()
    asked = one_component(half, *arguments)
    swept = run_sweep(half, asked, budget_bytes=BUDGET)
    seconds = time.perf_counter() - begun
    print(
        f"bfloat16, {case.name}: {seconds:.2f} s, {matrix_speed(half) / 1e9:.0f} GFLOP/s; logits differ from"
        f" float32's by {float((swept.logits - reference).abs().max()):.3f} at most, from bfloat16 whole passes by "
        f"{recheck(half, asked, swept):.3f}"
    )


def one_component(
    instrument: Instrument, base: Ids, source: Ids, component: str, cells: Sequence[Cell], tokens: Ids
) -> Sweep:
    """Each cell alone, with the value of the source run, which is run where it is not kept."""
    return Sweep(base, run_source(instrument, base, source), each_alone(component, cells), Wanted(tokens))


def cost(instrument: Instrument, base: Ids, source: Ids, component: str, cells: Sequence[Cell]) -> Estimate:
    """What a sweep's cones take."""
    return estimate(
        instrument, base, run_source(instrument, base, source), each_alone(component, cells), BUDGET
    )


def loaded(model: str, dtype: str) -> Instrument:
    """The model as both sides use it."""
    spec = ModelSpec(model, dtype=dtype)
    fetch(spec)
    return Instrument(load(spec))


def plain_pass(instrument: Instrument) -> None:
    """Weights are read from the disk when first used; afterwards the peak memory is a sweep's own."""
    with torch.no_grad():
        instrument.model(input_ids=torch.tensor([[0, 1]]), use_cache=False)


def pair(instrument: Instrument, tokens: int, first: int) -> tuple[Ids, Ids]:
    """A clean and a corrupted prompt of exactly these lengths; from `first` on the corrupted one runs backwards."""
    text = TEXT
    while len(ids := instrument.tokenizer(text).input_ids) < tokens:
        text = f"Think. {text}"
    clean = tuple(ids[-tokens:])
    corrupted = (*clean[:first], *reversed(clean[first:-1]), clean[-1])
    assert Pairing(clean, corrupted).first == first
    return clean, corrupted


def answers(instrument: Instrument) -> Ids:
    """The tokens whose logits are compared."""
    return tuple(instrument.tokenizer(letter, add_special_tokens=False).input_ids[0] for letter in "ABCD")


def transformer_lens(
    instrument: Instrument,
    case: Case,
    base: Ids,
    source: Ids,
    cells: Sequence[Cell],
    settings: Mapping[str, str] = MappingProxyType({}),
) -> tuple[float, torch.Tensor]:
    """Seconds a cell, the first apart (it warms up), and the logits after each."""
    environment = {name: value for name, value in os.environ.items() if name != MKL_SETTING}
    task = {
        "folder": str(instrument.resolved.folder),
        "dtype": instrument.resolved.dtype,
        "threads": torch.get_num_threads(),
        "base": base,
        "source": source,
        "tokens": answers(instrument),
        "cells": [[case.component, *asdict(cell).values()] for cell in (cells[0], *cells)],
    }
    done = subprocess.run(
        [THEIRS / "bin/python", ROOT / "benchmarks/patching_transformer_lens.py"],
        input=json.dumps(task),
        capture_output=True,
        env={**environment, "HF_HUB_OFFLINE": "1", **settings},
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"TransformerLens failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    return sum(found["seconds"][1:]) / len(cells), torch.tensor(found["logits"][1:])


class SpeedMeter:
    """A sweep's progress that measures the speed of matrix products every second.

    Others share the machine, and its speed before and after a minute is not that of the minute. What the measuring
    takes is told apart.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._product = timed_product(instrument)
        self._product()  # the first time is slower
        self._last = 0.0
        self._speeds: list[float] = []
        self.taken = 0.0

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Measure, if the last time is long enough ago."""
        begun = time.perf_counter()
        if begun - self._last < 1:
            return
        self._speeds += [self._product() for _ in range(3)]
        self._last = time.perf_counter()
        self.taken += self._last - begun

    def speed(self) -> float:
        """Floating-point operations a second, of the same work at each of these speeds."""
        return statistics.harmonic_mean(self._speeds)


class PeakMemory:
    """The most memory this process takes above what it has now (Linux)."""

    def __init__(self) -> None:
        trim_heap()  # what is kept of the sweep before is not this one's
        Path("/proc/self/clear_refs").write_text("5")
        self._before = self._field("VmRSS")

    def peak(self) -> int:
        """Bytes since this object was made."""
        return self._field("VmHWM") - self._before

    def _field(self, name: str) -> int:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(
            next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:"))
        )


if __name__ == "__main__":
    main()
