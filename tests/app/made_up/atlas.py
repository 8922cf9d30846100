"""A made-up head atlas: STAR is a correct letter head, HELPER a content gatherer, L5H3 writes against the letter."""

from typing import Any

import numpy as np

from backend.analyses.atlas.schema import BY_SAMPLE, FIGURES
from backend.contract.request import Request
from backend.results.head_classes import CLASSES
from backend.results.head_figures import KINDS, SAMPLES
from tests.app.made_up.parts import BANK, HEADS, HELPER, LAYERS, STAR, Arrays, Made, values_of, with_ends

AGAINST = (5, 3)
COUNT = 24


def heads_atlas(request: Request, generator: np.random.Generator) -> Made:
    """Figures are small and random but for those of the three heads."""
    sizes = {"layer": LAYERS, "head": HEADS, "label": 4, "kind": len(KINDS)}
    figures: dict[str, Any] = {
        name: np.abs(generator.normal(0, 0.01, [sizes[axis] for axis in axes]))
        for name, (axes, _, _) in FIGURES.items()
    }
    figures["label_mass"][STAR] = 0.9
    for name, value in (("letter_mass", 0.9), ("right_label_share", 0.8), ("right_label_top", 0.9)):
        figures[name][:, *STAR] = value
    figures["wrong_label_share"][:] = 0.05
    figures["net"][STAR], figures["net"][AGAINST] = 0.5, -0.3
    figures["content"][HELPER], figures["total"][HELPER], figures["direct"][HELPER] = 0.5, 0.4, 0.01
    if not values_of(request)["effects"]:
        for name in ("total", "direct", "indirect"):
            figures[name][:] = np.nan
    arrays: Arrays = {}
    for name, (axes, _, _) in FIGURES.items():
        small = with_ends(name, figures[name], axes, 0.001, 0.001)
        outside = name in ("induction", "previous_token", "first_token", "text_entropy", "markers")
        arrays |= {name: small[name]} if outside else small
    for name, (axes, _, _) in BY_SAMPLE.items():
        stacked = np.stack([figures[name]] * len(SAMPLES))
        arrays |= with_ends(f"sample_{name}", stacked, ("sample", *axes), 0.001, 0.001)
    arrays |= {name: (np.arange(COUNT) % 4, ("question",)) for name in ("right", "predicted")}
    arrays["half"] = (np.arange(COUNT) // 4 % 2, ("question",))
    ticks = {
        "label": request.prompt.labels[:4],
        "kind": KINDS,
        "class": tuple(CLASSES),
        "sample": SAMPLES,
        "layer": tuple(map(str, range(LAYERS))),
        "head": tuple(map(str, range(HEADS))),
    }
    left_out = [{"stem": BANK[0].stem, "reason": "No other option has as many tokens as option A."}]
    scalars = {
        "count": COUNT,
        "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95},
        "chance": 0.25,
        "at_chance": False,
        "options": 4.0,
        "with_effects": COUNT - 1,
        "without_effects": left_out,
        "markers_even": 0.18,
        "questions": [{"stem": one.stem, "answer": "A", "predicted": "A"} for one in BANK],
    }
    return arrays, ticks, scalars
