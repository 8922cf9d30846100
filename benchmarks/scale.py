"""Whether the cost model holds, and what it says of larger models: `scripts/bench scale`.

Takes a few analyses of one prompt on several models, one at a time, float32, fits one overhead factor for each analysis
on all models but one, and predicts that one. Times are the process' time on the processor over the number of threads,
so that others who share the cores count little; the wall's stand beside them. Then the seconds of 7B, 70B and 405B
on graphics cards, predicted from the cards' assumed speeds and not run.
"""

import argparse
import statistics
import time
from dataclasses import dataclass, replace

import torch

from backend.analyses import ANALYSES, Task
from backend.analyses.cost.machine import Curve, Machine, measure
from backend.analyses.cost.model import OnePrompt
from backend.analyses.cost.work import Work, traced
from backend.contract.model import ModelSpec
from backend.contract.progress import silent
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cost, cost_of
from backend.models import RunnableModel, fetch, load, release
from backend.models.families import Shape
from backend.models.memory_check import WORKING_BYTES

MODELS = ("smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
QUESTION = Question("Think. Think. Think. What color is a raven?", ("red", "black", "white", "green"), 1)
KINDS: dict[str, dict[str, object]] = {
    "trace": {},
    "attribution": {},
    "attention": {},
    "effects": {},
    "attribution_patching": {},
    "patching": {"positions": "final"},
}
ROUNDS = 3

CARD_BYTES = 80e9
CARD_PRODUCTS = Curve(peak=400e12, half=400e12 / 2.5e12)
CARD = Machine(CARD_PRODUCTS, CARD_PRODUCTS, copy=10e9, call=2e-3)
"""An 80 GB card of the H100's kind, bfloat16: 400 TFLOP/s of products (of 990 on paper), 2.5 TB/s of its memory (of
3.35), 10 GB/s to the processor's, 2 ms for a layer's call from Python. A row of a product reads 2 bytes a weight for
2 operations: half of the speed is reached at peak / bandwidth rows."""


@dataclass(frozen=True)
class Measured:
    """One analysis on one model: seconds of the processor and of the wall, and the formula's without overhead."""

    processor: float
    wall: float
    formula: float


def main() -> None:
    """Measure, fit, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paper-only", action="store_true", help="only the table of large models")
    if not parser.parse_args().paper_only:
        held_out({name: measured(name) for name in MODELS})
    on_paper()


def processor_seconds() -> float:
    """The process' time on the processor, a thread's share of it."""
    return time.process_time() / torch.get_num_threads()


def measured(name: str) -> dict[str, Measured]:
    """Every kind on one model, which is gone again afterwards."""
    spec = ModelSpec(name, dtype="float32", device="cpu")
    fetch(spec)
    loaded = load(spec)
    instrument = Instrument(loaded)
    (prompt,) = task("prediction", {}).prompts(instrument)
    instrument.trace(prompt.token_ids)  # pages the weights in
    cost, found = cost_of(instrument), {}
    print(f"{name}: {len(prompt.token_ids)} tokens, {torch.get_num_threads()} threads")
    for kind, params in KINDS.items():
        machine = measure(instrument, processor_seconds)  # each time anew: others share the cores
        asked = OnePrompt(len(prompt.token_ids), len(prompt.labels), params=params)
        best = min(timed(loaded, kind) for _ in range(ROUNDS))
        found[kind] = Measured(*best, machine.seconds(work(kind, cost, asked)))
        plain, cones = machine.plain, machine.cones
        print(
            f"  {kind:21s} {best[0]:8.3f} s, the formula {found[kind].formula:8.3f} s at {plain.peak / 1e9:.0f} "
            f"GFLOP/s, half of it at {plain.half:.0f} rows; in cones {cones.peak / 1e9:.0f}, at {cones.half:.0f}; "
            f"copies {machine.copy / 1e9:.1f} GB/s",
            flush=True,
        )
    del instrument
    release(loaded)
    return found


def task(analysis: str, params: dict[str, object]) -> Task:
    """The analysis of the one question."""
    return Task(Request.build(analysis, question=QUESTION, params=params), (QUESTION,), ((),))


def once(instrument: Instrument, kind: str) -> None:
    """One analysis with nothing kept from before."""
    if kind == "trace":
        (prompt,) = task("prediction", {}).prompts(instrument)
        instrument.trace(prompt.token_ids)
    else:
        ANALYSES[kind].run(instrument, task(kind, KINDS[kind]), silent)


def timed(loaded: RunnableModel, kind: str) -> tuple[float, float]:
    """Seconds of the processor and of the wall that one analysis takes."""
    processor, wall = processor_seconds(), time.perf_counter()
    once(Instrument(loaded), kind)
    return processor_seconds() - processor, time.perf_counter() - wall


def work(kind: str, cost: Cost, prompt: OnePrompt) -> Work:
    """The formula's work."""
    if kind == "trace":
        return traced(cost, prompt.tokens)
    model = ANALYSES[kind].cost
    assert model is not None  # every kind has one
    found: Work = model.target.formula(cost, prompt)
    return found


def held_out(found: dict[str, dict[str, Measured]]) -> None:
    """Each model predicted with the overheads of the others."""
    print(
        "\nanalysis              held out              processor s   wall s  predicted s  measured/predicted"
    )
    for kind in KINDS:
        overheads = {name: each[kind].processor / each[kind].formula for name, each in found.items()}
        for name, each in found.items():
            overhead = statistics.geometric_mean(overheads[other] for other in found if other != name)
            seconds = overhead * each[kind].formula
            row = f"{kind:21s} {name:21s} {each[kind].processor:11.3f} {each[kind].wall:8.3f} {seconds:12.3f}"
            print(f"{row} {each[kind].processor / seconds:12.2f}")
        print(f"{kind:21s} overhead of all {statistics.geometric_mean(overheads.values()):.2f}")


def llama(layers: int, heads: int, kv_heads: int, d_model: int, mlp: int, vocabulary: int) -> Cost:
    """A Llama of these sizes in bfloat16, heads of 128."""
    shape = Shape("llama", layers, heads, kv_heads, d_model, 128, vocabulary, 131072, parallel=False)
    attention = d_model * 128 * (2 * heads + 2 * kv_heads)
    widths = 128 * (heads + 2 * kv_heads) + 2 * d_model + 2 * mlp
    return Cost(
        shape, row=attention + 3 * d_model * mlp, widths=widths, itemsize=2, whole_model=False, device="cuda"
    )


LARGE = {
    "7B": llama(32, 32, 32, 4096, 11008, 32000),
    "70B": llama(80, 64, 8, 8192, 28672, 128256),
    "405B": llama(126, 128, 8, 16384, 53248, 128256),
}


def on_paper() -> None:
    """Seconds on graphics cards, and whether the weights fit on them."""
    one, many = OnePrompt(60, 4), OnePrompt(60, 4, several=True)
    final, grid = replace(one, params={"positions": "final"}), one
    columns = {
        "trace": ("prediction", one, 1),
        "attribution, 60 questions": ("attribution", many, 60),
        "heads, final position": ("patching", final, 1),
        "heads x 60 positions": ("patching", grid, 1),
        "effects": ("effects", one, 1),
    }
    print(
        "\nPredicted, not run: bfloat16, a prompt of 60 tokens, every position patched. Layers on several cards run in"
    )
    print("turn, so that more cards are not faster; what does not fit is told as if it did.")
    print(f"| model | weights | one 80 GB card | eight | {' | '.join(columns)} |")
    print(f"| --- | --- | --- | --- | {' | '.join('---' for _ in columns)} |")
    for name, cost in LARGE.items():
        shape = cost.shape
        weights = cost.itemsize * (shape.layers * cost.row + 2 * shape.vocabulary * shape.d_model)
        fits = [
            "fits" if weights + WORKING_BYTES <= cards * CARD_BYTES else "does not fit" for cards in (1, 8)
        ]
        seconds = [
            spoken(ANALYSES[kind].overhead * CARD.seconds(work(kind, cost, asked) * times))
            for kind, asked, times in columns.values()
        ]
        print(f"| {name} | {weights / 1e9:.0f} GB | {' | '.join([*fits, *seconds])} |")


def spoken(seconds: float) -> str:
    """Two digits of a time.

    >>> spoken(0.123), spoken(75), spoken(7200)
    ('0.12 s', '1.2 min', '2 h')
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"


if __name__ == "__main__":
    main()
