"""The head atlas against its parts, in one run: `scripts/bench atlas [--model NAME] [--questions N]`.

The atlas of N questions is run as a page runs it. Then, with an empty cache, its parts: N traces of the clean prompts,
and the effects of N questions, which bring the corrupted traces and the sweeps. Last, how long naming 5,120 heads again
takes when a threshold moves.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from backend.analyses.atlas.heads import METRIC
from backend.analyses.atlas.schema import HEADS
from backend.analyses.circuit.effects import effects_of
from backend.analyses.fetch import fetch
from backend.analyses.patching.pairs import pairs_of
from backend.contract.errors import RequestError
from backend.contract.model import ModelSpec
from backend.contract.progress import silent
from backend.contract.request import QuestionSet, Request
from backend.engine.instrument import Instrument
from backend.models import load
from backend.models.catalogue import SMALL_MODEL
from backend.results.head_classes import Thresholds, classify
from backend.results.head_figures import Mean

BY_LETTER = (
    "letter_mass",
    "right_label_share",
    "wrong_label_share",
    "right_label_top",
    "net_right",
    "net_wrong",
)
SINGLE = (
    "label_mass",
    "right_share",
    "label_entropy",
    "last_mass",
    "content",
    "net",
    "leader",
    "total",
    "direct",
)
LAYERS, HEADS_A_LAYER = 80, 64


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=SMALL_MODEL)
    parser.add_argument("--questions", type=int, default=60)
    options = parser.parse_args()
    loaded = load(ModelSpec(options.model, dtype="float32", device="cpu"))
    request = Request.build("heads", questions=QuestionSet("copy-colors", options.questions))
    task = fetch(request)
    fresh = [Instrument(loaded) for _ in range(3)]
    fresh[0].trace(task.prompts(fresh[0])[0].token_ids)  # the first pass of a process is slow
    whole = seconds(lambda: HEADS.run(fresh[1], task, silent))
    values = {**HEADS.values(request), "metric": METRIC}
    traced = swept = 0.0
    for number, prompt in enumerate(task.prompts(fresh[2])):
        traced += seconds(lambda ids=prompt.token_ids: fresh[2].trace(ids))  # type: ignore[misc]
        try:
            pairs = pairs_of(fresh[2], task, number, prompt, values)
        except RequestError:
            continue
        swept += sum(seconds(lambda pair=pair: effects_of(fresh[2], pair, silent)) for pair in pairs)  # type: ignore[misc]
    print(f"{options.model}, {options.questions} questions of copy-colors")
    print(f"atlas {whole:.1f} s; traces {traced:.1f} s; effects {swept:.1f} s")
    print(
        f"what the atlas takes beside the effects, in traces: {(whole - swept) / traced:.2f} (aim: at most 1.5)"
    )
    print(f"naming {LAYERS * HEADS_A_LAYER:,} heads again: {naming():.3f} s (aim: under 0.2)")


def naming() -> float:
    """Of 5,120 heads, the median of nine."""
    generator = np.random.default_rng(0)

    def drawn(name: str) -> Mean:
        sizes = (4, LAYERS, HEADS_A_LAYER) if name in BY_LETTER else (LAYERS, HEADS_A_LAYER)
        value = generator.uniform(-0.5, 1, sizes).astype(np.float32)
        return Mean(value, value - 0.1, value + 0.1)

    first, second = ({name: drawn(name) for name in (*SINGLE, *BY_LETTER)} for _ in range(2))
    return float(
        np.median([seconds(lambda: classify(first, second, 4.0, Thresholds(gap=0.2))) for _ in range(9)])
    )


if __name__ == "__main__":
    main()
