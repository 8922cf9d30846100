"""Made-up results of the analyses of one head over many questions."""

from typing import Any

import numpy as np

from backend.contract.request import Request
from tests.app.made_up.parts import BANK, Arrays, Made, head_of, heads_of, values_of, with_ends


def _subspace(request: Request, generator: np.random.Generator) -> Made:
    """Queries lie where the key of the right label does, in the first three of six dimensions."""
    labels, size = [*request.prompt.labels, *"ABCD"][:4], 6
    right = np.array([question.answer for question in BANK], np.float32)
    corners = np.eye(4, size) * [8, 6, 4, 2, 1, 1]
    k = corners + generator.normal(0, 0.1, (len(BANK), 4, size))
    q = 3 * corners[right.astype(int)] + generator.normal(0, 0.1, (len(BANK), size))
    axes = ("question", "label", "d_head")
    arrays: Arrays = {
        "q": (q, ("question", "d_head")),
        "k": (k, axes),
        "v": (k, axes),
        "q_variance": ([0.6, 0.25, 0.1, 0.03, 0.01, 0.01], ("component",)),
        "k_variance": ([0.5, 0.3, 0.15, 0.03, 0.01, 0.01], ("component",)),
        "basis": (np.eye(size), ("component", "d_head")),
        "k_basis": (np.eye(size), ("component", "d_head")),
        "points_q": ((q - q.mean(0))[:, :3], ("question", "component")),
        "points_k": ((k - k.mean((0, 1)))[..., :3], ("question", "label", "component")),
        "right": (right, ("question",)),
    }
    questions = [
        {
            "stem": question.stem,
            "subject": question.subject,
            "answer": labels[question.answer or 0],
            "predicted": labels[item % 2],
            "right": item % 2 == question.answer,
            "item": item,
        }
        for item, question in enumerate(BANK)
    ]
    scalars = {
        "labels": labels,
        "questions": questions,
        "separability": 0.95,
        "separability_shuffled": 0.24,
        "separability_low": 0.85,
        "separability_high": 0.99,
        "separability_keys": 0.9,
        "separability_keys_low": 0.8,
        "separability_keys_high": 0.95,
        "separability_keys_shuffled": 0.25,
        "head": head_of(request),
        "rank": values_of(request)["rank"],
        "variance_q3": 0.95,
        "variance_k3": 0.95,
        **_used(len(BANK), sum(not question["right"] for question in questions)),
    }
    return arrays, {}, scalars


def _used(kept: int, wrong: int) -> dict[str, Any]:
    left_out = [{"stem": "Which?", "reason": "3 options, not 4 as most of the questions"}]
    return {"kept": kept, "wrong": wrong, "left_out": left_out}


def _compression(request: Request, generator: np.random.Generator) -> Made:
    ranks = np.array([0, 1, 2, 3, 4, 6])
    loss = np.array([0.6, 0.5, 0.3, 0.22, 0.21, 0.2])
    arrays: Arrays = {
        "rank": (ranks, ("rank",)),
        **with_ends("loss", loss, ("rank",), 0.05, 0.1),
        "loss_random": (loss[:, None] + 0.1 * np.arange(3), ("rank", "draw")),
        "accuracy": (1 - loss, ("rank",)),
        "kl": (loss - 0.2, ("rank",)),
        "loss_model": (0.2, ()),
        "loss_ablated": (0.6, ()),
        "loss_ablated_low": (0.5, ()),
    }
    scalars = {
        **_used(5, 1),
        "notes": ["Each fit has 2 queries."],
        "rank": 3,
        "kept_share": 0.95,
        **_heads(request),
    }
    scalars |= {f"kept_share_{name}": 0.1 for name in ("resampled", "random", "random_resampled")} | {
        "alone": []
    }
    return arrays, {}, scalars


def _heads(request: Request) -> dict[str, Any]:
    heads = heads_of(request)
    return {"head": ", ".join(heads), "heads": heads}


def _mutations(request: Request, generator: np.random.Generator) -> Made:
    mutations = [
        {"name": "base", "title": "as it is", "example": "(A) red\n(B) blue", **_used(5, 1)},
        {"name": "numbers", "title": "numbers", "example": "(1) red\n(2) blue", **_used(4, 0)},
    ]
    conditions = [
        {"name": "whole", "title": "whole model"},
        {"name": "ablated_mean", "title": "head at its mean"},
        {"name": "low_rank_qk", "title": "low-rank Q and K"},
    ]
    loss, axes = np.array([[0.2, 0.6, 0.25], [0.3, 0.8, 0.35]]), ("mutation", "condition")
    arrays: Arrays = {
        **with_ends("loss", loss, axes, 0.05, 0.1),
        **with_ends("accuracy", 1 - loss, axes, 0.1, 0.05),
        "transfer": ([[0.25, 0.45], [0.26, 0.35]], ("fitted", "mutation")),
    }
    if len(heads_of(request)) == 1:
        arrays |= with_ends("right_share", [0.8, 0.6], ("mutation",), 0.1, 0.1)
        arrays |= with_ends("letter_share", [0.8, np.nan], ("mutation",), 0.1, 0.1)
    left_out = [{"name": "separators", "reason": "The label 'A)' is not one token."}]
    told = {"mutations": mutations, "conditions": conditions, "left_out": left_out}
    scalars = {**told, **_heads(request), "rank": 3, "kept": 5, "notes": ["Each fit has 2 queries."]}
    return arrays, {}, scalars


def _swap_test(request: Request, generator: np.random.Generator) -> Made:
    arrays: Arrays = {
        name: (generator.uniform(size=5), ("question",)) for name in ("follows_place", "follows_letter")
    }
    scalars = {
        "head": head_of(request),
        "answer_place": 0.3,
        "answer_letter": 0.1,
        "index": 0.4,
        "low": 0.1,
        "high": 0.7,
        "sentence": "It follows the place: index 0.40 (0.10 to 0.70).",
        "questions": [{"stem": question.stem} for question in BANK[:5]],
        **_used(5, 2),
    }
    return arrays, {}, scalars


def _key_steering(request: Request, generator: np.random.Generator) -> Made:
    """Towards larger strengths attention and logits go over to the steered option."""
    strengths, count, labels = np.array([-1.0, 0, 1, 2]), 3, list("ABCD")
    shape = ("question", "option", "strength", "label")
    logits = np.einsum("ol,s->osl", np.eye(4), strengths)
    arrays: Arrays = {
        "strength": (strengths, ("strength",)),
        "label_logits": (np.stack([logits] * count), shape),
        "attention": (np.stack([np.full((4, 4, 4), 0.25)] * count), shape),
        "label_logits_model": (np.eye(4)[:count], ("question", "label")),
        "attention_model": (np.full((count, 4), 0.25), ("question", "label")),
        "right": (np.zeros(count), ("question",)),
        "predicted": (np.arange(count), ("question",)),
        "flipped_at_all": (0.9, ()),
    }
    for name, values in (("flipped", [0, 0.1, 0.5, 0.8]), ("steered_attention", [0.1, 0.25, 0.6, 0.9])):
        for suffix, share in (("", 1), ("_random", 0.1)):
            arrays |= with_ends(name + suffix, share * np.array(values), ("strength",), 0.05, 0.05)
    listed = [
        {"stem": question.stem, "answer": "A", "predicted": labels[place]}
        for place, question in enumerate(BANK[:count])
    ]
    told = {"labels": labels, "questions": listed, "head": head_of(request), "direction_length": 0.2}
    return arrays, {}, {**told, "fitted_on": values_of(request)["fitted_on"], **_used(count, 2)}


OF_HEADS = {
    "subspace": _subspace,
    "compression": _compression,
    "mutations": _mutations,
    "swap-test": _swap_test,
    "key-steering": _key_steering,
}
