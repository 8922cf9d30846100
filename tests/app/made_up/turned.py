"""A made-up result of `turn`."""

import numpy as np

from backend.analyses.turn.schema import WAYS
from backend.contract.request import Request
from tests.app.made_up.nodes import logits_of
from tests.app.made_up.parts import Arrays, Made, head_of, letter_said, prompt_of, values_of


def turned(request: Request, generator: np.random.Generator) -> Made:
    """The attention moves with the strength, and the letter flips by the key, earlier by the query, never at random."""
    told, params, logits = prompt_of(request), values_of(request), logits_of(request)
    labels, said = told["labels"], letter_said(request)
    others = [label for label in labels if label != labels[said]]
    to = labels.index(params["to"] or others[0])
    strengths = np.array(params["strengths"])
    rise = np.stack([logits[said] - logits[to] + 9 * (strengths - flips) for flips in (1.9, 0.9)])
    moved = np.concatenate([rise, np.zeros((1, len(strengths)))])
    moved[:, strengths == 0] = 0
    share = np.stack([np.clip(strengths / most, 0, 1) * 0.9 for most in (2, 1, 200)])
    turned = np.tile(logits, (3, len(strengths), 1))
    turned[..., to] += moved
    attention = np.full(turned.shape, 0.02)
    attention[..., said] += 0.9 - share
    attention[..., to] += share
    arrays: Arrays = {
        "strength": (strengths, ("strength",)),
        "label_logits": (turned, ("way", "strength", "label")),
        "attention": (attention, ("way", "strength", "label")),
        "label_logits_model": (logits, ("label",)),
        "attention_model": (attention[0, 0], ("label",)),
        "label_logits_at_all": (turned[0, -1], ("label",)),
    }
    scalars = {
        **told,
        "head": head_of(request),
        "predicted": labels[said],
        "to": labels[to],
        "swapped_predicted": labels[to],
        "key_length": 1.5,
        "query_length": 0.5,
    }
    return arrays, {"label": tuple(labels), "way": WAYS}, scalars
