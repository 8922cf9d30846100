"""What a question costs: `scripts/bench trace [--model NAME]`.

Prints, for one model in float32: how long it takes to load from the cache in a fresh process; how long a trace with
attribution and attention of every head takes beside the model's own plain forward pass (medians of runs taken in
turns); and the peak memory of the process beside the weights' bytes.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch

from backend.analyses.attention.attention import all_final_rows, value_norms
from backend.analyses.attribution.attribution import attribute
from backend.contract.model import ModelSpec
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.instrument import Instrument
from backend.engine.recording import trace
from backend.models import fetch, load
from backend.models.catalogue import SMALL_MODEL
from backend.questions.prompt import Prompt

TOKENS = 60
ROUNDS = 9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SMALL_MODEL)
    spec = ModelSpec(parser.parse_args().model, dtype="float32")
    fetch(spec)
    import transformers  # noqa: F401  its import is not the loading that is measured

    begun = time.perf_counter()
    loaded = load(spec)
    load_seconds = time.perf_counter() - begun
    instrument = Instrument(loaded)
    prompt = sixty_tokens(instrument)
    plain, ours = in_turns(
        [lambda: plain_pass(instrument, prompt), lambda: everything(instrument, prompt)], ROUNDS
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    weights = loaded.resolved.weight_bytes
    allowed = 1.25 * weights + 600e6
    print(f"{spec.name}, float32, {torch.get_num_threads()} threads, {len(prompt.token_ids)} tokens")
    print(f"load from the cache        {load_seconds:6.2f} s")
    print(f"plain forward              {plain:6.3f} s")
    print(f"trace with all views       {ours:6.3f} s   {ours / plain:.2f} times the plain forward")
    bounds = f"weights {weights / 1e9:.2f} GB, allowed {allowed / 1e9:.2f} GB"
    print(f"peak memory                {peak / 1e9:6.2f} GB  {bounds}")


def sixty_tokens(instrument: Instrument) -> Prompt:
    """A question whose prompt is as near to TOKENS tokens as padding its stem brings it."""
    options = ("red", "black", "white", "green")
    stem = "What color is a raven?"
    prompt = instrument.prompt(Question(stem, options, 1), PromptSpec())
    while len(prompt.token_ids) < TOKENS:
        stem = "Think. " + stem
        prompt = instrument.prompt(Question(stem, options, 1), PromptSpec())
    return prompt


def plain_pass(instrument: Instrument, prompt: Prompt) -> None:
    """What anybody would run: the whole forward pass."""
    with torch.no_grad():
        instrument.model(input_ids=torch.tensor([prompt.token_ids], device=instrument.model.device))


def everything(instrument: Instrument, prompt: Prompt) -> None:
    """A fresh trace, every head's and MLP's attribution, every head's final row, plain and value-weighted."""
    recorded = trace(instrument.model, instrument.family, prompt.token_ids)
    attribute(instrument, recorded, prompt.answer_ids)
    all_final_rows(recorded)
    for layer in range(instrument.shape.layers):
        value_norms(instrument, recorded, layer)


def in_turns(calls: list[Callable[[], None]], rounds: int) -> list[float]:
    """The median seconds of each call, run in turns so that the machine's moods fall on all alike."""
    seconds: list[list[float]] = [[] for _ in calls]
    for call in calls:  # the first run of each pages weights in
        call()
    for _ in range(rounds):
        for call, taken in zip(calls, seconds, strict=True):
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
    return [statistics.median(taken) for taken in seconds]


if __name__ == "__main__":
    main()
