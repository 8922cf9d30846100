"""Hand-wired models with one head of a known class each, in addition to those of `tests/hand_wired.py`.

All have three layers and two heads that are always there: L0H1, which brings to every `(` and `:` which option the stem
names (a mediator), and L1H2, which looks at the right label and writes it (a correct letter head). A kind adds to that,
or changes it:

- `single letter`: L1H2 asks for B only. Where B is not right it looks at all tokens alike.
- `constant`: L1H3 looks at all labels alike.
- `fixed letter`: L1H3 looks at A and writes A, whatever is right.
- `amplification`: L2H0 looks at `:` in the suffix, where L1H2 has written the letter too, and writes more of it.
- `content gatherer`: L1H3 looks at the right option's word and brings along which one it is; L2H0, not L1H2, looks at
  the label and writes it.

Options are red, blue, green and white, in this order.
"""

from dataclasses import replace

import torch
from transformers import LlamaForCausalLM

from backend.contract.head import HeadRef
from backend.contract.question import Question
from backend.models.load import RunnableModel
from tests import hand_wired
from tests.hand_wired import BRACKET, D_HEAD, GATHERED, GATHERER, LABEL, SAID, STABLE, WORDS
from tests.tiny import loaded

COLON, FOUND, ITEM = 9, 24, 20
ORDERS = ("pick alpha", "pick beta", "pick gamma", "pick delta")
DELTA = "pick delta . .\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: ("
"""A corrupted prompt as long as those of `questions`."""

EXPECTED: dict[str, dict[HeadRef, str]] = {
    "correct letter": {HeadRef(0, 1): "mediator", HeadRef(1, 2): "correct letter"},
    "single letter": {HeadRef(0, 1): "mediator", HeadRef(1, 2): "single letter"},
    "constant": {
        HeadRef(0, 1): "mediator",
        HeadRef(1, 2): "correct letter",
        HeadRef(1, 3): "constant",
    },
    "fixed letter": {
        HeadRef(0, 1): "mediator",
        HeadRef(1, 2): "correct letter",
        HeadRef(1, 3): "fixed letter",
    },
    "amplification": {
        HeadRef(0, 1): "mediator",
        HeadRef(1, 2): "correct letter",
        HeadRef(2, 0): "amplification",
    },
    "content gatherer": {
        HeadRef(0, 1): "mediator",
        HeadRef(1, 3): "content gatherer",
        HeadRef(2, 0): "correct letter",
    },
}


def questions(count: int) -> tuple[Question, ...]:
    """Questions that differ in their stems, each letter right equally often."""
    made = []
    for number in range(count):
        stem = f"pick {hand_wired.ORDINALS[number % 4]} {'.?'[number // 4 % 2]} {'.?'[number // 8 % 2]}"
        made.append(replace(hand_wired.question(number % 4), stem=stem))
    return tuple(made)


def hand_wired_head(kind: str) -> RunnableModel:
    """The model of one kind, one of `EXPECTED`."""
    torch.manual_seed(0)
    model = hand_wired.blank(layers=3)
    with torch.no_grad():
        hand_wired.embed(model)
        embedding = model.model.embed_tokens.weight
        embedding[WORDS.index(":"), [BRACKET, COLON]] = 1
        for index, word in enumerate(("red", "blue", "green", "white")):
            embedding[WORDS.index(word), ITEM + index] = 1
        _gather(model)
        wire = {
            "correct letter": lambda: _letter(model, 1, 2, GATHERED),
            "single letter": lambda: _letter(model, 1, 2, GATHERED, asked=(1,)),
            "constant": lambda: _constant(model),
            "fixed letter": lambda: _fixed(model),
            "amplification": lambda: _amplification(model),
            "content gatherer": lambda: _content(model),
        }
        wire[kind]()
    return loaded(model.eval().requires_grad_(False), hand_wired.tokenizer(), "hand-wired")


def _gather(model: LlamaForCausalLM) -> None:
    """L0H1 is the gatherer of `hand_wired`, also at `:`."""
    hand_wired.wire_gatherer(model)
    assert HeadRef(0, 1) == GATHERER


def _look(
    model: LlamaForCausalLM, layer: int, head: int, query: int, key: int, pair: int, gain: float = 2
) -> None:
    """The head attends from tokens that have the residual dimension `query` to those that have `key`."""
    attention = model.model.layers[layer].self_attn
    attention.q_proj.weight[head * D_HEAD + STABLE[pair], query] = gain
    attention.k_proj.weight[head // 2 * D_HEAD + STABLE[pair], key] = 2


def _copy(model: LlamaForCausalLM, layer: int, head: int, read: int, write: int, gain: float = 1) -> None:
    """Four dimensions from `read` on are copied to those from `write` on."""
    attention = model.model.layers[layer].self_attn
    for index in range(4):
        attention.v_proj.weight[head // 2 * D_HEAD + index, read + index] = 1
        attention.o_proj.weight[write + index, head * D_HEAD + index] = gain


def _letter(
    model: LlamaForCausalLM, layer: int, head: int, told: int, asked: tuple[int, ...] = (0, 1, 2, 3)
) -> None:
    """From `told`, which option is right, to its label, and the letter of that."""
    for index in asked:
        _look(model, layer, head, told + index, LABEL + index, index)
    _copy(model, layer, head, LABEL, SAID)


def _constant(model: LlamaForCausalLM) -> None:
    """Its query is short, or small differences between the labels' norms would decide."""
    _letter(model, 1, 2, GATHERED)
    for index in range(4):
        _look(model, 1, 3, BRACKET, LABEL + index, index, gain=0.4)
    _copy(model, 1, 3, LABEL, SAID)


def _fixed(model: LlamaForCausalLM) -> None:
    _letter(model, 1, 2, GATHERED)
    _look(model, 1, 3, BRACKET, LABEL, 0)
    _copy(model, 1, 3, LABEL, SAID)


def _amplification(model: LlamaForCausalLM) -> None:
    """Its query is long, since brackets and colons are a small part of the residual stream by then."""
    _letter(model, 1, 2, GATHERED)
    _look(model, 2, 0, BRACKET, COLON, 0, gain=20)
    _copy(model, 2, 0, SAID, SAID)


def _content(model: LlamaForCausalLM) -> None:
    for index in range(4):
        _look(model, 1, 3, GATHERED + index, ITEM + index, index)
    _copy(model, 1, 3, ITEM, FOUND)
    _letter(model, 2, 0, FOUND)
