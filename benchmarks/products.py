"""How fast a layer's matrix products are, by number of rows: `scripts/bench products [--model NAME]`.

Three ways in turn, each in a process of its own, since MKL reads its settings once: torch by itself, torch with the
setting of `backend/__init__.py`, and oneDNN as cones have it (`backend/engine/products.py`). The medians of rounds that
alternate, because others share the machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

ROWS = (1, 14, 28, 43, 60, 86, 172, 344, 688, 1344)
ROUNDS = 9
LAYERS = 8
WAYS = {"torch by itself": "", "with MKL_CBWR=AUTO": "AUTO", "oneDNN": "AUTO"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--worker", choices=WAYS)
    arguments = parser.parse_args()
    if arguments.worker:
        answer(arguments.model, fast=arguments.worker == "oneDNN")
    else:
        table(arguments.model)


def table(model: str) -> None:
    """Ask each process for each number of rows, again and again."""
    workers = {way: started(way, model) for way in WAYS}
    print(f"{model}, float32: GFLOP/s of a layer's products\n  rows  {'  '.join(WAYS)}", flush=True)
    for rows in ROWS:
        speeds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, worker in workers.items():
                speeds[way].append(asked(worker, rows))
        found = [f"{statistics.median(speeds[way]) / 1e9:{len(way)}.0f}" for way in WAYS]
        print(f"{rows:6d}  {'  '.join(found)}", flush=True)
    for worker in workers.values():
        worker.communicate()


def asked(worker: "subprocess.Popen[str]", rows: int) -> float:
    """A process' answer."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{rows}\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def started(way: str, model: str) -> "subprocess.Popen[str]":
    """A process of its own for a way."""
    command = [sys.executable, "-m", "benchmarks.products", "--model", model, "--worker", way]
    # Empty is set, so that ours is not, and MKL reads it as nothing.
    environment = {**os.environ, "MKL_CBWR": WAYS[way]}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answer(model: str, fast: bool) -> None:
    """For each number of rows on standard input print the floating-point operations a second."""
    from contextlib import nullcontext

    import torch
    from torch import nn

    from backend.contract.model import ModelSpec
    from backend.engine.instrument import Instrument
    from backend.engine.products import fast_products
    from backend.models import fetch, load

    spec = ModelSpec(model, dtype="float32")
    fetch(spec)
    instrument = Instrument(load(spec))
    layers = list(instrument.family.layers(instrument.model))[:LAYERS]
    linear = [module for layer in layers for module in layer.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad(), fast_products(linear) if fast else nullcontext():
        for line in sys.stdin:
            given = {module.in_features: torch.randn(int(line), module.in_features) for module in linear}
            for module in linear[: len(linear) // LAYERS]:
                module(given[module.in_features])  # the first time a kernel is compiled
            begun = time.perf_counter()
            for module in linear:
                module(given[module.in_features])
            seconds = time.perf_counter() - begun
            weights = sum(module.weight.numel() for module in linear)
            print(2 * int(line) * weights / seconds, flush=True)


if __name__ == "__main__":
    main()
