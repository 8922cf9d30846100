"""Made-up results about the model, and about all heads and MLPs at once."""

from typing import Any

import numpy as np

from backend.analyses.attention.attention import KINDS
from backend.contract.choices import NORMS
from backend.contract.components import COMPONENTS
from backend.contract.corruptions import CORRUPTIONS
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.request import Request
from tests.app.made_up.atlas import heads_atlas
from tests.app.made_up.parts import (
    HEADS,
    HELPER,
    LAYERS,
    RUNS,
    STAR,
    SWAPPED,
    Arrays,
    Made,
    answered,
    drawn,
    head_of,
    letter_said,
    prompt_of,
    values_of,
    with_ends,
)


def logits_of(request: Request) -> Any:
    """The labels' logits, the same in every result about one prompt."""
    told = prompt_of(request)
    logits = np.random.default_rng(len(told["text"])).normal(size=len(told["labels"])) + 15
    logits[letter_said(request)] += 20
    return logits


def _prediction(request: Request, generator: np.random.Generator) -> Made:
    labels, said, logits = prompt_of(request)["labels"], letter_said(request), logits_of(request)
    probs = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    arrays: Arrays = {
        "label_logits": (logits, ("label",)),
        "label_logprobs": (np.log(probs) - 0.1, ("label",)),
        "label_probs": (probs, ("label",)),
        "lens": (np.linspace(0, 1, LAYERS)[:, None] * logits, ("layer", "label")),
    }
    top = [{"token": label, "id": place, "logprob": -1.0 - place} for place, label in enumerate(labels)]
    return arrays, {"label": tuple(labels)}, {**answered(request, labels[said]), "top_tokens": top}


def _attribution(request: Request, generator: np.random.Generator) -> Made:
    if request.question is None:
        found = drawn(generator, {"net": ("layer", "head"), "mlp_net": ("layer",)}, 0.2)
        found["net"][0][STAR] = 4
        arrays = {name: end for key in found for name, end in with_ends(key, *found[key], 0.1, 0.1).items()}
        return arrays, {}, {"count": 5, "before_cap": True}
    told = prompt_of(request)
    labels, said = told["labels"], letter_said(request)
    axes: dict[str, tuple[str, ...]] = {
        "heads": ("layer", "head", "label"),
        "mlps": ("layer", "label"),
        "embedding": ("label",),
        "bias": ("label",),
    }
    head = head_of(request)
    if head:
        axes["source"] = ("token", "label")
    arrays = drawn(generator, axes, 0.3, label=len(labels), token=len(told["tokens"]))
    (heads, _), (mlps, _) = arrays["heads"], arrays["mlps"]
    heads[*STAR, said] = 5
    logits, rest = logits_of(request), arrays["embedding"][0] + arrays["bias"][0]
    mlps[-1, said] = -1
    # All parts add up to the logits, as those of a model do.
    mlps[:-1] += (logits - logits.mean() - heads.sum((0, 1)) - mlps.sum(0) - rest) / (len(mlps) - 1)
    return (
        arrays,
        {"label": tuple(labels)},
        {**answered(request, labels[said]), "head": head, "before_cap": False},
    )


def _attention(request: Request, generator: np.random.Generator) -> Made:
    if request.question is None:
        roles = generator.dirichlet(np.ones(len(KINDS)), (LAYERS, HEADS))
        share = generator.uniform(size=(LAYERS, HEADS)), ("layer", "head")
        measures = dict.fromkeys(("right_share", "right_top", "right_top_among_labels"), share)
        return {"roles": (roles, ("layer", "head", "role")), **measures}, {"role": KINDS}, {"count": 5}
    told = prompt_of(request)
    count = len(told["tokens"])
    final = generator.dirichlet(np.ones(count), (LAYERS, HEADS))
    names = tuple(dict.fromkeys(told["roles"]))
    by_role = np.stack([final[..., [role == name for role in told["roles"]]].sum(-1) for name in names], -1)
    arrays: Arrays = {
        "final": (final, ("layer", "head", "position")),
        "final_value_weighted": (final * 2, ("layer", "head", "position")),
        "roles": (by_role, ("layer", "head", "role")),
    }
    head = head_of(request)
    if head:
        arrays["pattern"] = (np.tril(np.full((count, count), 0.1)), ("query", "key"))
    return arrays, {"role": names}, {**answered(request, told["labels"][letter_said(request)]), "head": head}


def _patched_bank(request: Request, generator: np.random.Generator) -> Made:
    params = values_of(request)
    roles = ("final",) if params["positions"] == "final" else ("stem", "label 0", "final")
    axes = COMPONENTS[params["component"]].role_axes
    sizes = {"role": len(roles), "question": 5}
    ((values, _),) = drawn(generator, {"values": axes}, **sizes).values()
    arrays = with_ends("values", values, axes, 0.1, 0.1) | with_ends("recovered", values / 2, axes, 0.1, 0.1)
    arrays["p_value"] = (np.full(values.shape, 0.01), axes)
    arrays |= drawn(generator, {"values_each": ("question", *axes)}, **sizes)
    told = {
        "count": 5,
        "left_out": 0,
        "reasons": [],
        "clean": 0.8,
        "corrupted": -0.4,
        "metric": params["metric"]["kind"],
    }
    told |= {name: params[name] for name in ("component", "direction")}
    return arrays, {"role": roles}, told


def _patching(request: Request, generator: np.random.Generator) -> Made:
    if request.question is None:
        return _patched_bank(request, generator)
    told, params = prompt_of(request), values_of(request)
    count = len(told["tokens"])
    positions = list(range(count)) if params["positions"] == "all" else [count - 1]
    axes = COMPONENTS[params["component"]].axes
    ((values, _),) = drawn(generator, {"values": axes}, position=len(positions)).values()
    if unaligned(request):
        values[..., :-1] = np.where(np.arange(len(positions) - 1) % 5 == 2, np.nan, values[..., :-1])
    arrays: Arrays = {"values": (values, axes), "recovered": (values / 2, axes)}
    if params["corruption"].get("draws", 1) > 1:
        arrays |= {f"{name}_spread": (np.abs(array) / 4, axes) for name, (array, _) in arrays.items()}
    swept = {
        "positions": positions,
        "engine": "cone",
        "cells": values.size,
        "cells_skipped": 3,
        "cells_unmatched": 0,
    }
    swept |= {name: params[name] for name in ("component", "direction")}
    swept |= {"metric": params["metric"]["kind"], "corrupted_tokens": told["tokens"]}
    ticks = {"position": tuple(told["tokens"][place] for place in positions)}
    return arrays, ticks, {**told, **RUNS, **swept, "first_difference": 7}


def unaligned(request: Request) -> bool:
    """Whether the corrupted prompt is one of another length."""
    return bool(values_of(request)["corruption"]["kind"] == "question")


def _attribution_patching(request: Request, generator: np.random.Generator) -> Made:
    if unaligned(request):
        raise RequestError("The corrupted prompt has another length.")
    told = prompt_of(request)
    axes = {name: component.axes for name, component in COMPONENTS.items()}
    arrays, params = drawn(generator, axes, position=len(told["tokens"])), values_of(request)
    scalars = {"metric": params["metric"]["kind"], "direction": params["direction"], "first_difference": 7}
    if params["verify"]:
        cell = {"layer": 1, "head": 2, "position": 3, "top": True}
        scalars |= {"verified": [cell] * 3, "spearman": 0.9, "pearson": 0.8, "leaders": 3, "leaders_found": 2}
        arrays |= {name: ([1.0, 0.5, 0.2], ("cell",)) for name in ("estimated", "exact")}
    return arrays, {"position": tuple(told["tokens"])}, {**told, **RUNS, **scalars}


def _possible_corruptions(request: Request, generator: np.random.Generator) -> Made:
    """Options can be swapped where another has as many words."""
    question, told, label = request.question, prompt_of(request), values_of(request)["label"]
    assert question is not None
    words = [len(option.split()) for option in question.options]
    moved = told["labels"].index(label) if label else letter_said(request)
    swappable = words.count(words[moved]) > 1
    why = f"No other option has as many tokens as option {told['labels'][moved]}."
    tried = [
        {"kind": name, "possible": True, "says": f"made by {name}"}
        for name, corruption in CORRUPTIONS.items()
        if not corruption.one_question_only
    ]
    tried[0] |= {"possible": swappable, "says": SWAPPED if swappable else why}
    return {}, {}, {**told, "corruptions": tried}


SECONDS = 2.0
LONG = ("heads", "compression", "mutations", "swap-test", "key-steering", "readings")


def _cost(request: Request, generator: np.random.Generator) -> Made:
    """A short time, except for what takes minutes on any machine."""
    params = request.params.get("params", {})
    heads = COMPONENTS[params.get("component", "z")].heads is not None
    long = request.params["analysis"] in LONG or (params.get("positions") == "all" and heads)
    return {}, {}, {"expected_seconds": 130.0 if long else SECONDS, "expected_bytes": 2e8}


def _effects(request: Request, generator: np.random.Generator) -> Made:
    arrays: Arrays = {}
    for kind, of in (("heads", ("layer", "head")), ("mlps", ("layer",))):
        axes = ("norm", *of)
        named = {
            effect: values
            for effect, spread in (("total", 0.2), ("direct", 0.1), ("interaction", 0.02))
            for values, _ in drawn(generator, {effect: axes}, spread, norm=2).values()
        }
        if kind == "heads":
            named["direct"][:, *STAR], named["total"][:, *STAR], named["total"][:, *HELPER] = 2, 1.5, 3
        named["indirect"] = named["total"] - named["direct"] - named["interaction"]
        for effect, values in named.items():
            arrays[f"{kind}_{effect}"] = (values, axes)
            if request.question is None:
                alone = np.nan if request.to_json()["questions"]["limit"] == 1 else 0
                arrays |= with_ends(f"{kind}_{effect}", values, axes, 0.1 + alone, 0.2 + alone)
                arrays[f"{kind}_{effect}"] = (values, axes)
    told: dict[str, Any] = {"metric": values_of(request)["metric"]["kind"]}
    if request.question is None:
        told |= {"count": 5, "left_out": 2, "clean": 0.8, "corrupted": -0.4}
    else:
        told |= {**prompt_of(request), **RUNS}
    return arrays, {"norm": tuple(NORMS)}, told


def _joint(request: Request, generator: np.random.Generator) -> Made:
    """Heads that carry a quarter each and three quarters together; random heads carry little."""
    params, clean = values_of(request), logits_of(request)
    heads = [str(HeadRef(*head)) for head in params["heads"]]
    sets: list[dict[str, Any]] = [{"kind": "together", "heads": heads}]
    sets += [{"kind": "alone", "heads": [head]} for head in heads] if params["alone"] else []
    sets += [{"kind": "random", "heads": ["L0H0"] * len(heads)} for _ in range(params["random"])]
    share = {"together": 0.75, "alone": 0.25, "random": 0.05}
    lost = np.array([share[one["kind"]] for one in sets])
    corrupted = np.roll(clean, 1)
    values = 0.8 - lost * 1.2  # from RUNS' clean to its corrupted
    arrays: Arrays = {
        "label_logits": (clean + lost[:, None] * (corrupted - clean), ("set", "label")),
        "label_logits_clean": (clean, ("label",)),
        "label_logits_corrupted": (corrupted, ("label",)),
        "values": (values, ("set",)),
        "lost": (lost, ("set",)),
    }
    told = prompt_of(request)
    return arrays, {"label": tuple(told["labels"])}, {**told, **RUNS, "metric": "net_logit", "sets": sets}


def _paths(request: Request, generator: np.random.Generator) -> Made:
    params = values_of(request)
    mode = "receiver" if params["sender"] is None else "sender"
    node = params[mode]
    layer, _ = node.get("head", (node.get("mlp", -1), 0))
    inputs = ("mlp",) if mode == "receiver" and "mlp" in node else ("query", "key", "value")
    axes = {"heads": ("input", "layer", "head"), "mlps": ("input", "layer")}
    arrays = drawn(generator, {**axes, "embedding": ("input",), "whole": ("input",)}, 0.1, input=len(inputs))
    (heads, _), (mlps, _) = arrays["heads"], arrays["mlps"]
    heads[0, 0, 1], mlps[0, 1] = 1, -0.5
    layers, within_layer = np.arange(LAYERS), "mlp" in node
    if mode == "receiver":
        heads[:, (layers > layer) if within_layer else (layers >= layer)] = np.nan
        mlps[:, layers >= layer] = np.nan
    else:
        heads[:, layers <= layer] = np.nan
        mlps[:, (layers <= layer) if within_layer else (layers < layer)] = np.nan
        arrays = {"heads": arrays["heads"], "receiver_mlps": (mlps[0], ("layer",))}
    name = str(HeadRef(*node["head"])) if "head" in node else f"MLP {layer}" if "mlp" in node else "embedding"
    told = {**prompt_of(request), **RUNS, "metric": params["metric"]["kind"]}
    return arrays, {"input": inputs}, {**told, "node": name, "mode": mode}


def _check_model(request: Request, generator: np.random.Generator) -> Made:
    arrays: Arrays = {
        "letters_predicted": ([0.4, 0.3, 0.2, 0.1], ("label",)),
        "letters_right": ([0.25] * 4, ("label",)),
    }
    accuracy = {"value": 0.9, "low": 0.8, "high": 0.95}
    scalars = {
        "count": 5,
        "chance": 0.25,
        "chance_by_label": 0.25,
        "label_accuracy": accuracy,
        "content_accuracy": accuracy,
        "loss": {"value": 0.4, "low": None, "high": None},
        "go": True,
        "verdict": "Go: it answers 90% by letter.",
    }
    return arrays, {"label": request.prompt.labels[:4]}, scalars


def _readings(request: Request, generator: np.random.Generator) -> Made:
    """The same for every model, but that quantization makes the strongest head weaker and moves the rest a little."""
    exact, count = np.random.default_rng(0), 5
    net, patched = exact.normal(0, 0.1, (count, LAYERS, HEADS)), exact.normal(size=(3, LAYERS, HEADS))
    net[:, *STAR] = 2
    logits = exact.normal(size=(count, 4))
    if request.model.quantization != "none":
        net, patched = (values + generator.normal(0, 0.05, values.shape) for values in (net, patched))
        logits = logits + generator.normal(0, 0.05, logits.shape)
    arrays: Arrays = {
        "label_logits": (logits, ("question", "label")),
        "predicted": (np.zeros(count), ("question",)),
        "net": (net, ("question", "layer", "head")),
        "patched": (patched, ("patched", "layer", "head")),
    }
    scalars = {
        "count": count,
        "accuracy": {"value": 0.8, "low": 0.4, "high": 0.9},
        "loss": {"value": 0.5, "low": None, "high": None},
        "patched_questions": 3,
        "left_out": 0,
        "weight_bytes": 2_520_000_000,
        "prompts": "the same",
    }
    return arrays, {"label": request.prompt.labels[:4]}, scalars


def _self_check(request: Request, generator: np.random.Generator) -> Made:
    sizes = {"layers": LAYERS, "heads": HEADS, "kv_heads": 2, "d_model": 64, "d_head": 16, "vocabulary": 1000}
    return (
        {},
        {},
        {**sizes, "family": "qwen2", "by_structure": False, "layer_by_layer": True, "max_positions": 256},
    )


def _sufficiency(request: Request, generator: np.random.Generator) -> Made:
    """L3H2 and MLP 5 suffice; the sizes are 1, 2, 8 and all, or that of a set of one's own."""
    every = [str(HeadRef(*place)) for place in np.ndindex(LAYERS, HEADS)] + [
        f"MLP {layer}" for layer in range(LAYERS)
    ]
    first = ["L3H2", "MLP 5", "L1H3"]
    names = [*first, *(name for name in every if name not in first)]
    own = values_of(request)["nodes"]
    if own:
        names = [str(HeadRef(*node["head"])) if "head" in node else f"MLP {node['mlp']}" for node in own]
    sizes = [len(names)] if own else [1, 2, 8, len(names)]
    shares = np.array([{1: 0.3, 2: 0.9}.get(size, 1.0) for size in sizes])
    random = np.repeat(shares[:, None] * 0.05, 3, axis=1)
    arrays: Arrays = {"sizes": (sizes, ("k",)), "singles": (shares * 1.5, ("k",))}
    for name in ("sufficiency", "sufficiency_fixed", "necessity"):
        arrays |= with_ends(name, shares, ("k",), 0.1, 0.1)
    for name in ("random_sufficiency", "random_sufficiency_fixed"):
        arrays |= with_ends(name, random, ("k", "draw"), 0.02, 0.02)
    arrays["order"] = ([every.index(name) for name in names], ("node",))
    arrays["effect"] = (np.linspace(1, 0, len(names)), ("node",))
    arrays["cumulative"] = (np.linspace(0.2, 1, len(names)), ("node",))
    questions = {"question": 5, "k": len(sizes)}
    for name in ("live", "fixed", "ablated"):
        arrays |= drawn(generator, {f"values_{name}": ("question", "k")}, **questions)
    for name in ("clean", "empty"):
        arrays |= drawn(generator, {f"values_{name}": ("question",)}, **questions)
    smallest = {"size": 2, "nodes": names[:2], "value": 0.9, "low": 0.8, "high": 1.0}
    told = {
        "metric": "net_logit",
        "nodes": names,
        "count": 5,
        "sorted_on": 0 if own else 5,
        "left_out": 1,
        "reasons": ["No question has another right letter."],
        "clean": 0.8,
        "empty": -0.4,
        "smallest": None if own else smallest,
        "smallest_fixed": None if own else smallest,
    }
    return arrays, {}, told


OF_NODES = {
    "sufficiency": _sufficiency,
    "prediction": _prediction,
    "attribution": _attribution,
    "attention": _attention,
    "patching": _patching,
    "possible-corruptions": _possible_corruptions,
    "cost": _cost,
    "effects": _effects,
    "heads": heads_atlas,
    "joint-patching": _joint,
    "paths": _paths,
    "attribution_patching": _attribution_patching,
    "check-model": _check_model,
    "readings": _readings,
    "self-check": _self_check,
}
