"""Made-up results about the logit lens, of one prompt and of two."""

from typing import Any

import numpy as np

from backend.contract.request import Request
from backend.contract.stream_patch import RUNS
from tests.app.made_up.nodes import logits_of, unaligned
from tests.app.made_up.parts import LAYERS, SWAPPED, Arrays, Made, answered, letter_said, prompt_of, values_of

DEPTHS = ("embedding", *map(str, range(LAYERS)))


def lens_of(logits: Any, tokens: int) -> Any:
    """`[depth, position, label]`: the letters' logits come up with depth, most at the last token."""
    depth, place = np.linspace(0, 1, LAYERS + 1), np.linspace(0, 1, tokens) ** 4
    return depth[:, None, None] * place[None, :, None] * np.asarray(logits)


def _lens(request: Request, generator: np.random.Generator) -> Made:
    told, params = prompt_of(request), values_of(request)
    count = len(told["tokens"])
    positions = params["positions"]
    at = list(range(count)) if positions == "all" else [count - 1] if positions == "final" else positions
    logits = np.roll(logits_of(request), 0 if params["corruption"] is None else 1)
    labels = lens_of(logits, count)[:, at]
    arrays: Arrays = {"label_logits": (labels, ("depth", "position", "label"))}
    scalars: dict[str, Any] = {"positions": at}
    if params["top"]:
        axes = ("depth", "position", "top")
        shape = (*labels.shape[:2], params["top"])
        arrays["label_logprobs"] = (labels - 40, ("depth", "position", "label"))
        arrays["top_ids"] = (np.broadcast_to(np.arange(params["top"]), shape), axes)
        arrays["top_logprobs"] = (np.broadcast_to(-0.5 - np.arange(params["top"]), shape), axes)
        scalars["texts"] = {str(token): f"word{token}" for token in range(params["top"])}
    if params["corruption"] is not None:
        scalars["corruption"] = SWAPPED
    ticks = {"depth": DEPTHS, "label": tuple(told["labels"])}
    return arrays, ticks, {**answered(request, told["labels"][letter_said(request)]), **scalars}


def _patched_lens(request: Request, generator: np.random.Generator) -> Made:
    """The corrupted run says the next letter; a run that is patched says what the run says that the patch is from."""
    told, params = prompt_of(request), values_of(request)
    labels, count = told["labels"], len(told["tokens"])
    own = logits_of(request)
    logits = {"clean": own, "corrupted": np.roll(own, 1)}
    into = {RUNS[1 - RUNS.index(patch["from"])] for patch in params["patches"]}
    arrays: Arrays = {}
    runs: dict[str, Any] = {}
    for name, axis in zip(RUNS, ("position", "corrupted_position"), strict=True):
        other = logits[RUNS[1 - RUNS.index(name)]]
        for suffix, said in (("", logits[name]), ("_patched", other if name in into else logits[name])):
            arrays[f"label_logits_{name}{suffix}"] = (said, ("label",))
            arrays[f"lens_{name}{suffix}"] = (lens_of(said, count), ("depth", axis, "label"))
            best = labels[int(np.argmax(said))]
            runs[f"{name}{suffix}"] = {
                "predicted": best,
                "top_tokens": [{"token": best, "id": 1, "logprob": -0.1}],
            }
    match = [None if unaligned(request) and role == "stem" else i for i, role in enumerate(told["roles"])]
    scalars = {
        "corruption": SWAPPED,
        "corrupted_tokens": told["tokens"],
        "corrupted_roles": told["roles"],
        "counterparts": match,
        "runs": runs,
        "cells": {name: int(name in into) for name in RUNS},
    }
    return arrays, {"depth": DEPTHS, "label": tuple(labels)}, {**told, **scalars}


OF_LENS = {"lens": _lens, "patched-lens": _patched_lens}
