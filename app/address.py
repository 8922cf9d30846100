"""What each parameter of the address may be: a reader for each field of `Chosen`, by its name."""

from collections.abc import Callable
from typing import Any

from app import thresholds
from app.figures.atlas import AXES, SHADES
from app.figures.lens_grids import SPANS
from app.figures.net import MODES, NODES
from app.figures.patched import SHOWN
from app.figures.subspace_points import COLOURINGS
from app.readers import (
    blocks,
    classes,
    free,
    head,
    heads,
    mutations,
    named,
    nodes,
    one_of,
    question,
    strength,
    truth,
    whole,
    within,
)
from backend.contract.choices import (
    DIRECTIONS,
    KEY_POSITIONS,
    NODE_ORDERS,
    NORMS,
    POSITIONS,
    QUESTIONS_USED,
    REPLACEMENTS,
)
from backend.contract.components import COMPONENTS
from backend.contract.corruptions import CORRUPTIONS, DRAWS
from backend.contract.metrics import METRICS
from backend.contract.model import DEVICES, DTYPES, QUANTIZATIONS
from backend.contract.prompt import MAX_SHOTS, TEMPLATES

ABOUT = ("said", "right")
SCOPES = ("question", "bank")
READINGS = ("plain", "value-weighted")
WAYS = ("key", "query")
VARIANTS = ("asked", "swapped", "letters")
MEASURES = ("loss", "accuracy")
MAX_LIMIT = 5000


READERS: dict[str, Callable[[str, str], Any]] = {
    "model": named,
    "dtype": one_of(DTYPES),
    "quantization": one_of(QUANTIZATIONS),
    "device": one_of(DEVICES),
    "bank": named,
    "item": whole(1, 10**6),
    "question": question,
    "subject": free,
    "right": free,
    "search": free,
    "template": one_of(TEMPLATES),
    "labels": named,
    "shots": whole(0, MAX_SHOTS),
    "controls_as_text": truth,
    "custom": free,
    "scope": one_of(SCOPES),
    "limit": whole(1, MAX_LIMIT),
    "about": one_of(ABOUT),
    "letter": named,
    "role": named,
    "reading": one_of(READINGS),
    "head": head,
    "corruption": one_of(CORRUPTIONS),
    "corrupted": free,
    "draws": within(DRAWS),
    "component": one_of(COMPONENTS),
    "direction": one_of(DIRECTIONS),
    "metric": one_of(METRICS),
    "other": named,
    "where": one_of(POSITIONS),
    "shown": one_of(SHOWN),
    "place": whole(0, 10**6),
    "norm": one_of(NORMS),
    "mode": one_of(MODES),
    "node": one_of(NODES),
    "mlp": whole(0, 9999),
    "against": free,
    "against_dtype": one_of(DTYPES),
    "against_quantization": one_of(QUANTIZATIONS),
    "colour": one_of(COLOURINGS),
    "x": whole(1, 9999),
    "y": whole(1, 9999),
    "z": whole(1, 9999),
    "means": truth,
    "products": truth,
    "at": one_of(KEY_POSITIONS),
    "keep": one_of(QUESTIONS_USED),
    "rotated": truth,
    "stacked": truth,
    "also": mutations,
    "everywhere": truth,
    "sampled": whole(1, MAX_LIMIT),
    "across": one_of(AXES),
    "up": one_of(AXES),
    "shade": one_of(SHADES),
    "only": classes,
    "thresholds": thresholds.reader,
    "hidden": heads,
    "kept": heads,
    "patches": blocks,
    "span": one_of(SPANS),
    "words": truth,
    "way": one_of(WAYS),
    "variant": one_of(VARIANTS),
    "order": one_of(NODE_ORDERS),
    "replacement": one_of(REPLACEMENTS),
    "nodes": nodes,
    "measure": one_of(MEASURES),
    "mutation": free,
    "strength": strength,
    "steered": whole(1, MAX_LIMIT),
    "towards": free,
}
