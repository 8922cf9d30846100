"""What heads do outside the task: on ordinary text, on an enumeration, and on random tokens that are repeated.

A class says what a head does on multiple-choice prompts. These figures say whether that is all it does. The texts are
our own and fixed, so there are no intervals.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.pattern import patterns
from backend.models.families import Shape

PASSAGE = (
    "The old lighthouse stood at the end of a narrow path. Every evening the keeper climbed its stairs, cleaned the "
    "glass and lit the lamp. Ships far out on the water saw the light and knew where the rocks were. One winter a "
    "storm came that lasted three days. The keeper did not sleep. When the wind fell at last, a small boat lay on the "
    "beach, and in it sat a boy who could not say from where he had come."
)
ENUMERATION = (
    "To bake bread, follow these steps.\n1. Mix flour, water, salt and yeast.\n2. Knead the dough for ten minutes.\n"
    "3. Let it rest until it is twice as large.\n4. Form a loaf.\n5. Bake it until the crust is brown.\n"
    "Pack three things: (a) a knife, (b) a clean towel, (c) a basket. After that you are ready."
)
MARKERS = ("1.", "2.", "3.", "4.", "5.", "(a)", "(b)", "(c)")
Figures = Callable[[Tensor], Tensor]
"""From the patterns of a layer to figures of each head."""
REPEATED = 40
MOST_TOKENS = 160
NAMES = ("induction", "previous_token", "first_token", "text_entropy", "markers")


@dataclass(frozen=True)
class Outside:
    """Figures `[layer, head]`, means over tokens; NaN where the model's tokens do not allow them.

    Attributes:
        induction: attention, in the second copy of random tokens, to the token after the first copy of this one.
        previous_token, first_token: on the passage, attention to the token before, and to the first token.
        text_entropy: on the passage, of the attention, as a share of the largest value, ln of the number of tokens.
        markers: on the enumeration, attention to its markers from the tokens after the first of them.
        markers_even: what `markers` would be for attention that is spread evenly.
    """

    induction: Float[Tensor, "layer head"]
    previous_token: Float[Tensor, "layer head"]
    first_token: Float[Tensor, "layer head"]
    text_entropy: Float[Tensor, "layer head"]
    markers: Float[Tensor, "layer head"]
    markers_even: float


def read_outside(instrument: Instrument, progress: Progress) -> Outside:
    """Three forward passes. Raises what a trace raises."""
    limit = min(MOST_TOKENS, instrument.shape.max_positions)
    passage = _encoded(instrument, PASSAGE)[0][:limit]
    ids, spans = _encoded(instrument, ENUMERATION)
    marked = _marked(spans)[:limit]
    start = _encoded(instrument, "")[0]
    drawn = _random_ids(instrument.shape, min(REPEATED, (limit - len(start)) // 2))
    texts: tuple[tuple[tuple[int, ...], Figures], ...] = (
        ((*start, *drawn, *drawn), partial(_induction, start=len(start), count=len(drawn))),
        (passage, _on_text),
        (ids[:limit], partial(_on_markers, marked=marked)),
    )
    found: list[Tensor] = []
    for step, (tokens, figures) in enumerate(texts):
        progress("Reading texts outside the task", step, 3)
        found += _over_layers(instrument, tokens, progress, figures).unbind(-1)
    induction, previous, first, entropy, markers = found
    even = torch.ones(1, len(marked), len(marked)).tril()
    share = _on_markers(even / even.sum(-1, keepdim=True), marked)
    return Outside(induction, previous, first, entropy, markers, float(share[0, 0]))


def _over_layers(
    instrument: Instrument, ids: tuple[int, ...], progress: Progress, figures: Figures
) -> Float[Tensor, "layer head figure"]:
    trace = instrument.trace(ids, progress)
    return torch.stack(
        [
            figures(patterns(trace, layer, trace.q_rotated[layer], trace.k_rotated[layer]))
            for layer in range(len(trace.scaling))
        ]
    )


def _on_text(rows: Float[Tensor, "head query key"]) -> Float[Tensor, "head figure"]:
    """Attention to the token before, to the first token, and the entropy. The first two tokens do not count."""
    tokens = rows.shape[1]
    if tokens < 3:
        return torch.full((len(rows), 3), float("nan"))
    later = torch.arange(2, tokens)
    entropy = torch.special.entr(rows).sum(-1)[:, later] / torch.log(later + 1.0)
    before = rows[:, later, later - 1]
    return torch.stack([before.mean(-1), rows[:, later, 0].mean(-1), entropy.mean(-1)], dim=-1)


def _on_markers(rows: Float[Tensor, "head query key"], marked: list[bool]) -> Float[Tensor, "head figure"]:
    """Attention to the markers before each token, mean over the tokens after the first marker."""
    keys = torch.tensor(marked)
    if not bool(keys.any()) or bool(keys[-1:].all()):
        return torch.full((len(rows), 1), float("nan"))
    first = int(keys.int().argmax())
    return rows[:, first + 1 :][..., keys].sum(-1).mean(-1, keepdim=True)


def _induction(rows: Float[Tensor, "head query key"], start: int, count: int) -> Float[Tensor, "head figure"]:
    """From each token of the second copy to the one after its first copy."""
    queries = torch.arange(start + count, start + 2 * count)
    return rows[:, queries, queries - count + 1].mean(-1, keepdim=True)


def _encoded(instrument: Instrument, text: str) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    encoded = instrument.tokenizer(text, return_offsets_mapping=True)
    return tuple(encoded["input_ids"]), [tuple(span) for span in encoded["offset_mapping"]]


def _marked(spans: list[tuple[int, int]]) -> list[bool]:
    """Which tokens of the enumeration are part of a marker."""
    places = [(ENUMERATION.index(marker), len(marker)) for marker in MARKERS]
    return [
        any(start < place + length and end > place for place, length in places) and end > start
        for start, end in spans
    ]


def _random_ids(shape: Shape, count: int) -> tuple[int, ...]:
    """Different tokens, always the same ones of a vocabulary; the first and last hundredth are left out."""
    edge = shape.vocabulary // 100
    drawn = torch.randperm(shape.vocabulary - 2 * edge, generator=torch.Generator().manual_seed(0))
    return tuple((drawn[:count] + edge).tolist())
