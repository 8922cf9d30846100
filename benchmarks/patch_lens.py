"""What the lens and a patch in it cost: `scripts/bench patch_lens [--small]`.

Everything is a multiple of a forward pass of the plain model on the same prompt, measured in turn in the same process.
Wanted: a patch, both runs already traced, takes at most 0.3 of a pass and 0.2 s, where no more than a third of the pass
has to be computed again. A block that begins in the first layers changes most of the run.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from backend.analyses import ANALYSES
from backend.analyses.fetch import fetch
from backend.analyses.task import Findings
from backend.contract.model import DEFAULT_MODEL, ModelSpec
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.model_pass import final_logits
from backend.models.catalogue import SMALL_MODEL
from backend.models.load import load
from backend.questions.banks import load_bank

ROUNDS = 5
SHARE, SECONDS = 0.3, 0.2


def main() -> None:
    """Measure and print, and end with an error where a patch takes longer than wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the small model in place of the default one")
    name = SMALL_MODEL if parser.parse_args().small else DEFAULT_MODEL
    instrument = Instrument(load(ModelSpec(name, "float32")))
    question = load_bank("copy-colors").questions[0]

    def asked(analysis: str, **params: Any) -> Callable[[], Findings]:
        request = Request.build(analysis, model=ModelSpec(name, "float32"), question=question, params=params)
        task = fetch(request)
        return lambda: ANALYSES[analysis].run(instrument, task, silent)

    both = asked("patched-lens")
    told, layers = both().scalars, instrument.shape.layers
    pairs = enumerate(zip(told["tokens"], told["corrupted_tokens"], strict=True))
    first = next(position for position, (mine, other) in pairs if mine != other)
    ids = instrument.prompt(question, Request.build("lens").prompt).token_ids
    final = len(ids) - 1
    blocks = {
        "one cell at the final token, middle layer": ([layers // 2] * 2, [final, final]),
        "one cell at the first changed token, middle layer": ([layers // 2] * 2, [first, first]),
        "all changed tokens, the upper half of layers": ([layers // 2, layers - 2], [first, final]),
        "all changed tokens, the embedding": ([-1, -1], [first, final]),
    }
    ways: dict[str, Callable[[], object]] = {
        "forward pass": lambda: plain(instrument, ids),
        "both lenses, runs already traced": both,
        "lens of the labels everywhere, run already traced": asked("lens"),
    }
    for what, (at, positions) in blocks.items():
        block = {"from": "clean", "layers": at, "positions": positions}
        ways[what] = asked("patched-lens", patches=[block], check=False)
    ways["the first of them with its check"] = asked(
        "patched-lens", patches=[{"from": "clean", "layers": [layers // 2] * 2, "positions": [final, final]}]
    )
    print(f"{name}, float32, {len(ids)} tokens; medians of {ROUNDS} rounds in turn")
    seconds = medians(ways, ROUNDS)
    seconds |= medians({"likeliest token everywhere, run already traced; once": asked("lens", top=1)}, 1)
    late = report(seconds, [*blocks][:-1])
    if late:
        raise SystemExit("Takes longer than wanted: " + ", ".join(late))


@torch.no_grad()
def plain(instrument: Instrument, ids: tuple[int, ...]) -> object:
    """A pass of the unmodified model."""
    return final_logits(instrument.model, instrument.family, ids)


def medians(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds by way; the ways alternate, because others share the machine."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, call in ways.items():
            begun = time.perf_counter()
            call()
            if number:  # the first round compiles kernels
                taken[way].append(time.perf_counter() - begun)
    return {way: statistics.median(seconds) for way, seconds in taken.items()}


def report(seconds: dict[str, float], patches: list[str]) -> list[str]:
    """Print each way, and return the patches that take longer than wanted."""
    whole = seconds["forward pass"]
    for way, one in seconds.items():
        print(f"{one:7.2f} s  {one / whole:5.2f} passes  {way}")
    return [way for way in patches if seconds[way] > SHARE * whole + SECONDS]


if __name__ == "__main__":
    main()
