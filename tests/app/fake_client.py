"""A client with answers made up from the request: the pages' seam for tests. No model, no disk."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from backend.errors import Cancelled, LetterheadsError, QuestionError, RequestError, shown
from backend.questions.question import Question
from backend.results.request import HeadRef, ModelSpec, Request
from backend.results.result import Array, Result
from backend.service.client import BankCard, JobStatus, ModelCard

LAYERS, HEADS = 6, 4
STAR = (3, 2)  # the head that writes the right letter
HELPER = (1, 3)  # the head that acts through others
SUBJECTS = {"red": "colors", "blue": "colors", "green": "plants", "round": "shapes"}
BANK = (
    *(
        Question(f"Which is {what}?", (what, "up", "down", "left"), 0, subject)
        for what, subject in SUBJECTS.items()
    ),
    Question("Where is <b>up</b>?", ("down", "up ☝️", "left", "right"), 1, "directions"),
)
KINDS = (
    "prelude",
    "stem",
    "right label",
    "wrong label",
    "right option",
    "wrong option",
    "newline",
    "suffix",
    "final",
)


class FakeClient:
    """Answers at once, or (with `slow`, maybe only to some analyses) never; `error` is raised by every result.

    What `shown` holds for an analysis is what its job has found so far.
    """

    def __init__(
        self, *, slow: bool | Collection[str] = False, error: LetterheadsError | None = None
    ) -> None:
        self.slow = slow
        self.error = error
        self.room: dict[str, Any] = {
            "needed_bytes": 7_700_000_000,
            "free_bytes": 20_000_000_000,
            "fits": True,
            "others": [],
            "resident": False,
            "shape": {"layers": LAYERS, "heads": HEADS, "parallel": False},
        }
        self.shown: dict[str, Result] = {}
        self.submitted: list[Request] = []
        self.cancelled: list[str] = []
        self.banked = {"copy-colors": BANK, "other": BANK[:2]}

    def models(self) -> Sequence[ModelCard]:
        return (
            ModelCard(
                "qwen2.5-coder-1.5b",
                "Qwen2.5-Coder 1.5B",
                "Apache-2.0",
                "default",
                1_540_000_000,
                10**9,
                True,
            ),
            ModelCard(
                "qwen2.5-coder-0.5b", "Qwen2.5-Coder 0.5B", "Apache-2.0", "small", 490_000_000, 10**8, False
            ),
        )

    def banks(self) -> Sequence[BankCard]:
        return [
            BankCard(name, name.title(), len(questions), tuple(dict.fromkeys(q.subject for q in questions)))
            for name, questions in self.banked.items()
        ]

    def questions(self, bank: str) -> Sequence[Question]:
        if bank not in self.banked:
            raise QuestionError(f"There is no bank {shown(bank)}.")
        return self.banked[bank]

    def upload(self, name: str, data: bytes) -> BankCard:
        if not data.strip():
            raise QuestionError(f"Line 1 of {shown(name)} is empty.")
        self.banked["upload:1"] = BANK[:3]
        return BankCard("upload:1", name, 3, ("colors",))

    def find(self, request: Request) -> Result | None:
        slow = self.slow if isinstance(self.slow, bool) else request.analysis in self.slow
        return None if slow or self.error else made_up(request)

    def submit(self, request: Request) -> str:
        self.submitted.append(request)
        return str(len(self.submitted))

    def status(self, job: str) -> JobStatus:
        state = "cancelled" if job in self.cancelled else "failed" if self.error else "running"
        return JobStatus(job, state, 3, 10, "Going through the questions", str(self.error or ""), 1.5, 41.0)  # type: ignore[arg-type]

    def wait(self, job: str, seconds: float) -> JobStatus:
        return self.status(job)

    def cancel(self, job: str) -> None:
        self.cancelled.append(job)

    def result(self, job: str) -> Result:
        if self.error:
            raise self.error
        if job in self.cancelled:
            raise Cancelled("Cancelled.")
        return made_up(self.submitted[int(job) - 1])

    def partial(self, job: str) -> Result | None:
        return self.shown.get(self.submitted[int(job) - 1].analysis)

    def loaded(self) -> dict[str, Any] | None:
        return None

    def resolve(self, spec: ModelSpec) -> dict[str, Any]:
        return {"dtype": "float32", "device": "cpu", "reason": "It fits comfortably in memory.", **self.room}


def made_up(request: Request) -> Result:
    """A result with every array the contract names, the same for the same request."""
    seed = int.from_bytes(hashlib.sha256(request.canonical().encode()).digest()[:4], "big")
    generator = np.random.default_rng(seed)
    arrays, ticks, scalars = MAKERS[request.analysis](request, generator)
    return Result(
        request=request.to_json(),
        arrays={
            name: Array(np.asarray(values, np.float32), axes, "logits")
            for name, (values, axes) in arrays.items()
        },
        ticks=ticks,
        scalars=scalars,
        checks={"identity_error": (3e-6, 1e-3)},
        model={
            "name": request.model.name,
            "dtype": "float32",
            "quantization": request.model.quantization,
            "fingerprint": "0123456789abcdef",
        },
        seconds=0.25,
    )


def prompt_of(request: Request) -> tuple[list[str], list[str], list[str]]:
    question = request.question
    assert question is not None
    labels = list(request.prompt.labels[: len(question.options)])
    tokens, roles = ["About", f" {question.subject}", ".\n"], ["prelude"] * 3
    tokens, roles = [*tokens, question.stem, "\n"], [*roles, "stem", "stem"]
    for place, option in enumerate(question.options):
        tokens += ["(", labels[place], ") ", option, "\n"]
        roles += [f"{name} {place}" for name in ("bracket", "label", "bracket", "option", "newline")]
    return [*tokens, "Answer:", " ("], [*roles, "suffix", "final"], labels


def _prediction(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    tokens, roles, labels = prompt_of(request)
    logits = generator.normal(size=len(labels)) + 15
    answer = request.question.answer if request.question else None
    if answer is not None:
        logits[answer] += 2
    probs = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    lens = np.linspace(0, 1, LAYERS)[:, None] * logits
    arrays = {
        "label_logits": (logits, ("label",)),
        "label_logprobs": (np.log(probs) - 0.1, ("label",)),
        "label_probs": (probs, ("label",)),
        "lens": (lens, ("layer", "label")),
    }
    top = [{"token": label, "id": place, "logprob": -1.0 - place} for place, label in enumerate(labels)]
    scalars = {
        "predicted": labels[int(probs.argmax())],
        "answer": None if answer is None else labels[answer],
        "loss": None if answer is None else 0.3,
        "tokens": tokens,
        "roles": roles,
        "top_tokens": top,
        "text": "".join(tokens),
    }
    return arrays, {"label": tuple(labels)}, scalars


def _attribution(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    if request.question is None:
        net, mlp = generator.normal(0, 0.2, (LAYERS, HEADS)), generator.normal(0, 0.2, LAYERS)
        net[STAR] = 4
        arrays = {"net": (net, ("layer", "head")), "mlp_net": (mlp, ("layer",))}
        for name, values, axes in (("net", net, ("layer", "head")), ("mlp_net", mlp, ("layer",))):
            arrays |= {f"{name}_low": (values - 0.1, axes), f"{name}_high": (values + 0.1, axes)}
        return arrays, {}, {"count": 5, "before_cap": True}
    tokens, roles, labels = prompt_of(request)
    prompt = {"tokens": tokens, "roles": roles, "text": "".join(tokens), "before_cap": False}
    heads = generator.normal(0, 0.3, (LAYERS, HEADS, len(labels)))
    answer = request.question.answer or 0
    heads[*STAR, answer] = 5
    arrays = {
        "heads": (heads, ("layer", "head", "label")),
        "mlps": (generator.normal(size=(LAYERS, len(labels))), ("layer", "label")),
        "embedding": (generator.normal(size=len(labels)), ("label",)),
        "bias": (np.zeros(len(labels)), ("label",)),
    }
    if "head" in request.params:
        arrays["source"] = (generator.normal(size=(len(tokens), len(labels))), ("token", "label"))
    return arrays, {"label": tuple(labels)}, {**prompt, "predicted": labels[answer]}


def _attention(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    if request.question is None:
        roles = generator.dirichlet(np.ones(len(KINDS)), (LAYERS, HEADS))
        share = generator.uniform(size=(LAYERS, HEADS))
        arrays = {"roles": (roles, ("layer", "head", "role"))}
        arrays |= dict.fromkeys(
            ("right_share", "right_top", "right_top_among_labels"), (share, ("layer", "head"))
        )
        return arrays, {"role": KINDS}, {"count": 5}
    tokens, roles, labels = prompt_of(request)
    prompt = {"tokens": tokens, "roles": roles, "text": "".join(tokens)}
    final = generator.dirichlet(np.ones(len(tokens)), (LAYERS, HEADS))
    names = tuple(dict.fromkeys(roles))
    by_role = np.stack([final[..., [role == name for role in roles]].sum(-1) for name in names], -1)
    arrays = {
        "final": (final, ("layer", "head", "position")),
        "final_value_weighted": (final * 2, ("layer", "head", "position")),
        "roles": (by_role, ("layer", "head", "role")),
    }
    if "head" in request.params:
        arrays["pattern"] = (np.tril(np.full((len(tokens), len(tokens)), 0.1)), ("query", "key"))
    return (
        arrays,
        {"label": tuple(labels), "role": names},
        {**prompt, "predicted": labels[0]},
    )


def _patching(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    tokens, roles, labels = prompt_of(request)
    params = request.params
    positions = list(range(len(tokens))) if params["positions"] == "all" else [len(tokens) - 1]
    heads = {"resid_pre": (), "resid_mid": (), "attn_out": (), "mlp_out": (), "k": (2,), "v": (2,)}.get(
        params["component"], (HEADS,)
    )
    names = {(): ("layer", "position"), (2,): ("layer", "kv_head", "position")}
    axes = names.get(heads, ("layer", "head", "position"))
    values = generator.normal(size=(LAYERS, *heads, len(positions)))
    if unaligned(request):
        values[..., :-1] = np.where(np.arange(len(positions) - 1) % 5 == 2, np.nan, values[..., :-1])
    ticks = {"layer": tuple(map(str, range(LAYERS))), "position": tuple(tokens[place] for place in positions)}
    scalars = {
        "tokens": tokens,
        "roles": roles,
        "labels": labels,
        "positions": positions,
        "clean": 0.8,
        "corrupted": -0.4,
        "corruption": "options 1 and 2 swapped",
        "first_difference": 7,
        "engine": "cone",
        "cells": values.size,
        "cells_skipped": 3,
    }
    arrays = {"values": (values, axes), "recovered": (values / 2, axes)}
    if params["corruption"].get("draws", 1) > 1:
        arrays |= {f"{name}_spread": (np.abs(array) / 4, axes) for name, (array, _) in arrays.items()}
    return arrays, ticks, scalars


def unaligned(request: Request) -> bool:
    """Whether the corrupted prompt is one of another length."""
    return bool(request.params["corruption"]["kind"] == "question")


def _attribution_patching(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    if unaligned(request):
        raise RequestError("The corrupted prompt has another length.")
    tokens, roles, labels = prompt_of(request)
    axes = {
        **dict.fromkeys(("resid_pre", "resid_mid", "attn_out", "mlp_out"), ("layer", "position")),
        **dict.fromkeys(("z", "q", "pattern"), ("layer", "head", "position")),
        **dict.fromkeys(("k", "v"), ("layer", "kv_head", "position")),
    }
    sizes = {"layer": LAYERS, "head": HEADS, "kv_head": 2, "position": len(tokens)}
    arrays = {name: (generator.normal(size=[sizes[axis] for axis in of]), of) for name, of in axes.items()}
    scalars = {
        "tokens": tokens,
        "roles": roles,
        "labels": labels,
        "clean": 0.8,
        "corrupted": -0.4,
        "corruption": "options 1 and 2 swapped",
        "direction": request.params["direction"],
        "first_difference": 7,
    }
    return arrays, {"layer": tuple(map(str, range(LAYERS))), "position": tuple(tokens)}, scalars


def _cost(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    return {}, {}, {"expected_seconds": 130.0, "expected_bytes": 2e8}


def _effects(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    norms = ("recomputed", "frozen")
    arrays: dict[str, Any] = {}
    for kind, shape, axes in (("heads", (LAYERS, HEADS), ("layer", "head")), ("mlps", (LAYERS,), ("layer",))):
        total, direct, interaction = generator.normal(0, (0.2, 0.1, 0.02), (2, *shape, 3)).transpose(
            -1, *range(len(shape) + 1)
        )
        if kind == "heads":
            direct[:, *STAR], total[:, *STAR], total[:, *HELPER] = 2, 1.5, 3
        indirect = total - direct - interaction
        named = {"total": total, "direct": direct, "indirect": indirect, "interaction": interaction}
        for effect, values in named.items():
            arrays[f"{kind}_{effect}"] = (values, ("norm", *axes))
            if request.question is None:
                alone = np.nan if request.to_json()["questions"]["limit"] == 1 else 0
                arrays[f"{kind}_{effect}_low"] = (values - 0.1 + alone, ("norm", *axes))
                arrays[f"{kind}_{effect}_high"] = (values + 0.2 + alone, ("norm", *axes))
    return arrays, {"norm": norms}, {**_runs(request), **_prompt_or_count(request)}


def _paths(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    mode = "sender" if "sender" in request.params else "receiver"
    node = request.params[mode]
    layer, _ = node.get("head", (node.get("mlp", -1), 0))
    inputs = ("mlp",) if mode == "receiver" and "mlp" in node else ("query", "key", "value")
    layers = np.arange(LAYERS)
    heads = generator.normal(0, 0.1, (len(inputs), LAYERS, HEADS))
    mlps = generator.normal(0, 0.1, (len(inputs), LAYERS))
    heads[0, 0, 1], mlps[0, 1] = 1, -0.5
    within_layer = "mlp" in node
    if mode == "receiver":
        heads[:, (layers > layer) if within_layer else (layers >= layer)] = np.nan
        mlps[:, layers >= layer] = np.nan
        arrays = {
            "heads": (heads, ("input", "layer", "head")),
            "mlps": (mlps, ("input", "layer")),
            "embedding": (generator.normal(0, 0.1, len(inputs)), ("input",)),
            "whole": (generator.normal(size=len(inputs)), ("input",)),
        }
    else:
        heads[:, layers <= layer] = np.nan
        mlps[:, (layers <= layer) if within_layer else (layers < layer)] = np.nan
        arrays = {"heads": (heads, ("input", "layer", "head")), "receiver_mlps": (mlps[0], ("layer",))}
    name = str(HeadRef(*node["head"])) if "head" in node else f"MLP {layer}" if "mlp" in node else "embedding"
    scalars = {**_runs(request), **_prompt_or_count(request), "node": name, "mode": mode}
    return arrays, {"input": inputs}, scalars


def _runs(request: Request) -> dict[str, Any]:
    return {
        "metric": request.params["metric"]["kind"],
        "clean": 0.8,
        "corrupted": -0.4,
        "corruption": "options 1 and 2 swapped",
    }


def _prompt_or_count(request: Request) -> dict[str, Any]:
    if request.question is None:
        return {"count": 5, "left_out": 2}
    tokens, roles, labels = prompt_of(request)
    return {"tokens": tokens, "roles": roles, "labels": labels, "text": "".join(tokens)}


def _check_model(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    labels = request.prompt.labels[:4]
    arrays = {
        "letters_predicted": (np.array([0.4, 0.3, 0.2, 0.1]), ("label",)),
        "letters_right": (np.full(4, 0.25), ("label",)),
    }
    accuracy = {"value": 0.9, "low": 0.8, "high": 0.95}
    scalars = {
        "label_accuracy": accuracy,
        "content_accuracy": accuracy,
        "loss": {"value": 0.4, "low": None, "high": None},
    }
    return (
        arrays,
        {"label": labels},
        {**scalars, "go": True, "verdict": "Go: it answers 90% by letter.", "count": 5, "chance": 0.25},
    )


def _readings(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    """The same for every model, but that quantization makes the strongest head weaker and moves the rest a little."""
    exact, count = np.random.default_rng(0), 5
    net, patched = exact.normal(0, 0.1, (count, LAYERS, HEADS)), exact.normal(size=(3, LAYERS, HEADS))
    net[:, *STAR] = 2
    logits = exact.normal(size=(count, 4))
    if request.model.quantization != "none":
        net, patched = (values + generator.normal(0, 0.05, values.shape) for values in (net, patched))
        logits = logits + generator.normal(0, 0.05, logits.shape)
    arrays = {
        "label_logits": (logits, ("question", "label")),
        "predicted": (np.zeros(count), ("question",)),
        "net": (net, ("question", "layer", "head")),
        "patched": (patched, ("patched", "layer", "head")),
    }
    scalars = {
        "count": count,
        "accuracy": {"value": 0.8, "low": 0.4, "high": 0.9},
        "loss": {"value": 0.5, "low": None, "high": None},
        "weight_bytes": 2_520_000_000,
        "prompts": "the same",
    }
    return arrays, {"label": request.prompt.labels[:4]}, scalars


def _self_check(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    sizes = {"layers": LAYERS, "heads": HEADS, "kv_heads": 2, "d_model": 64, "d_head": 16, "vocabulary": 1000}
    return {}, {}, {**sizes, "family": "qwen2", "by_structure": False}


def _subspace(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    """Queries lie where the key of the right label does, in the first three of six dimensions."""
    labels, size = [*request.prompt.labels, *"ABCD"][:4], 6
    right = np.array([question.answer for question in BANK], np.float32)
    corners = np.eye(4, size) * [8, 6, 4, 2, 1, 1]
    k = corners + generator.normal(0, 0.1, (len(BANK), 4, size))
    q = 3 * corners[right.astype(int)] + generator.normal(0, 0.1, (len(BANK), size))
    axes = ("question", "label", "d_head")
    arrays = {
        "q": (q, ("question", "d_head")),
        "k": (k, axes),
        "v": (k, axes),
        "q_variance": ([0.6, 0.25, 0.1, 0.03, 0.01, 0.01], ("component",)),
        "k_variance": ([0.5, 0.3, 0.15, 0.03, 0.01, 0.01], ("component",)),
        "basis": (np.eye(size), ("component", "d_head")),
        "k_basis": (np.eye(size), ("component", "d_head")),
        "points_q": ((q - q.mean(0))[:, :3], ("question", "axis")),
        "points_k": ((k - k.mean((0, 1)))[..., :3], ("question", "label", "axis")),
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
        "separability": None if len(set(right)) < 2 else 0.95,
        "separability_shuffled": None if len(set(right)) < 2 else 0.24,
        "variance_q3": 0.95,
        "variance_k3": 0.95,
        **_used(len(BANK), sum(not question["right"] for question in questions)),
    }
    return arrays, {"label": tuple(labels)}, scalars


def _used(kept: int, wrong: int) -> dict[str, Any]:
    left_out = [{"stem": "Which?", "reason": "3 options, not 4 as most of the questions"}]
    return {"kept": kept, "wrong": wrong, "left_out": left_out}


def _compression(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    ranks = np.array([0, 1, 2, 3, 4, 6])
    loss = np.array([0.6, 0.5, 0.3, 0.22, 0.21, 0.2])
    arrays = {
        "rank": (ranks, ("rank",)),
        "loss": (loss, ("rank",)),
        "loss_low": (loss - 0.05, ("rank",)),
        "loss_high": (loss + 0.1, ("rank",)),
        "loss_random": (loss[:, None] + 0.1 * np.arange(3), ("rank", "draw")),
        "accuracy": (1 - loss, ("rank",)),
        "kl": (loss - 0.2, ("rank",)),
        "loss_model": (0.2, ()),
        "loss_ablated": (0.6, ()),
        "loss_ablated_low": (0.5, ()),
    }
    scalars = {**_used(5, 1), "notes": ["Each fit has 2 queries."], "rank": 3, "kept_share": 0.95}
    return arrays, {"rank": tuple(map(str, ranks))}, scalars


def _mutations(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
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
    arrays = {"loss": (loss, axes), "accuracy": (1 - loss, axes)}
    arrays |= {"loss_low": (loss - 0.05, axes), "loss_high": (loss + 0.1, axes)}
    arrays["transfer"] = (np.array([[0.25, 0.45], [0.26, 0.35]]), ("fitted", "mutation"))
    for name, values in (("right_share", [0.8, 0.6]), ("letter_share", [0.8, np.nan])):
        for suffix, by in (("", 0), ("_low", -0.1), ("_high", 0.1)):
            arrays[name + suffix] = (np.array(values) + by, ("mutation",))
    left_out = [{"name": "separators", "reason": "The label 'A)' is not one token."}]
    told = {"mutations": mutations, "conditions": conditions, "left_out": left_out}
    return arrays, {}, {**told, "rank": 3, "kept": 5, "notes": ["Each fit has 2 queries."]}


def _swap_test(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    arrays = {
        name: (generator.uniform(size=5), ("question",)) for name in ("follows_place", "follows_letter")
    }
    scalars = {
        "index": 0.4,
        "low": 0.1,
        "high": 0.7,
        "sentence": "It follows the place: index 0.40 (0.10 to 0.70).",
        **_used(5, 2),
    }
    return arrays, {}, scalars


def _key_steering(request: Request, generator: np.random.Generator) -> tuple[Any, Any, Any]:
    """Towards larger strengths attention and logits go over to the steered option."""
    strengths, count, labels = np.array([-1.0, 0, 1, 2]), 3, list("ABCD")
    shape = ("question", "option", "strength", "label")
    logits = np.einsum("o,sl->osl", np.ones(4), np.zeros((4, 4))) + np.einsum(
        "ol,s->osl", np.eye(4), strengths
    )
    arrays = {
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
            for end, by in (("", 0), ("_low", -0.05), ("_high", 0.05)):
                arrays[name + suffix + end] = (share * np.array(values) + by, ("strength",))
    listed = [
        {"stem": question.stem, "answer": "A", "predicted": labels[place]}
        for place, question in enumerate(BANK[:count])
    ]
    return arrays, {}, {"labels": labels, "questions": listed, **_used(count, 2)}


MAKERS = {
    "key-steering": _key_steering,
    "subspace": _subspace,
    "compression": _compression,
    "mutations": _mutations,
    "swap-test": _swap_test,
    "prediction": _prediction,
    "attribution": _attribution,
    "attention": _attention,
    "patching": _patching,
    "cost": _cost,
    "effects": _effects,
    "paths": _paths,
    "attribution_patching": _attribution_patching,
    "check-model": _check_model,
    "readings": _readings,
    "self-check": _self_check,
}
