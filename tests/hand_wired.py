"""A model whose circuit is known because every weight of it was set by hand.

The stem names the right option by a word (`alpha` the first, ... `delta` the fourth). Two heads do all the work:

- L0H1, the gatherer: at every `(` it attends to that word and copies which option is meant.
- L1H2, the correct letter head: its query is what L0H1 gathered, its keys are the labels' identities; so from the
  final `(` it attends to the right option's label, and writes the logit of that letter.

In a second form L1H2 follows the n-th item: L0H3 looks, from a label, at the options before it, and L1H2's keys are
what it found. Options have to be red, blue, green and white then, in this order.

Everything else is small noise. Queries and keys use only the rotary pairs that hardly turn.
"""

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from backend.contract.head import HeadRef
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.models.load import RunnableModel
from tests.tiny import loaded

GATHERER = HeadRef(0, 1)
CORRECT_LETTER = HeadRef(1, 2)
# Without the prelude, which begins with a label's word, "A".
SPEC = PromptSpec(template="plain")
LABELS = ("A", "B", "C", "D")
ORDINALS = ("alpha", "beta", "gamma", "delta")
FILLERS = ("red", "blue", "green", "white", "pick", "Answer", ":", "(", ")", "\n", " ", ".", "?", "[unk]")
WORDS = LABELS + ORDINALS + FILLERS

# Residual dimensions.
LABEL, ORDINAL, BRACKET, GATHERED, SAID = 0, 4, 8, 12, 16
ITEM, BEFORE, REST = 20, 24, 28
D_MODEL, D_HEAD, HEADS, KV_HEADS = 32, 8, 4, 2
# With this theta the pairs (2, 6) and (3, 7) of a head turn by less than 1e-5 a token.
THETA = 1e12
STABLE = (2, 3, 6, 7)


def question(right: int) -> Question:
    """The question whose right option is number `right`."""
    return Question(
        stem=f"pick {ORDINALS[right]}", options=("red", "blue", "green", "white"), answer=right, subject="red"
    )


def hand_wired(by_place: bool = False) -> RunnableModel:
    """The model and its word-level tokenizer; `by_place` is its second form."""
    torch.manual_seed(0)
    model = blank(layers=2)
    with torch.no_grad():
        embed(model)
        wire_gatherer(model)
        _wire_correct_letter(model)
        if by_place:
            _wire_places(model)
    return loaded(model.eval().requires_grad_(False), tokenizer(), "hand-wired")


def blank(layers: int) -> LlamaForCausalLM:
    """A model of small noise, to be wired."""
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=D_MODEL,
        intermediate_size=16,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=D_HEAD,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=1e-3)
    return model


def embed(model: LlamaForCausalLM) -> None:
    """What the words are, and which residual dimension says which label."""
    embedding, unembedding = model.model.embed_tokens.weight, model.lm_head.weight
    for index in range(4):
        embedding[WORDS.index(LABELS[index]), LABEL + index] = 1
        embedding[WORDS.index(ORDINALS[index]), ORDINAL + index] = 1
        unembedding[WORDS.index(LABELS[index]), SAID + index] = 1
    embedding[WORDS.index("("), BRACKET] = 1


def wire_gatherer(model: LlamaForCausalLM) -> None:
    """L0H1 brings to each bracket which option the stem names."""
    attention = model.model.layers[0].self_attn
    head, kv_head = GATHERER.head, GATHERER.head // (HEADS // KV_HEADS)
    attention.q_proj.weight[head * D_HEAD + STABLE[0], BRACKET] = 2
    for index in range(4):
        attention.k_proj.weight[kv_head * D_HEAD + STABLE[0], ORDINAL + index] = 2
        attention.v_proj.weight[kv_head * D_HEAD + index, ORDINAL + index] = 1
        attention.o_proj.weight[GATHERED + index, head * D_HEAD + index] = 1


def _wire_correct_letter(model: LlamaForCausalLM) -> None:
    attention = model.model.layers[1].self_attn
    head, kv_head = CORRECT_LETTER.head, CORRECT_LETTER.head // (HEADS // KV_HEADS)
    for index in range(4):
        attention.q_proj.weight[head * D_HEAD + STABLE[index], GATHERED + index] = 2
        attention.k_proj.weight[kv_head * D_HEAD + STABLE[index], LABEL + index] = 2
        attention.v_proj.weight[kv_head * D_HEAD + index, LABEL + index] = 1
        attention.o_proj.weight[SAID + index, head * D_HEAD + index] = 1


def _wire_places(model: LlamaForCausalLM) -> None:
    """L0H3 writes at a label its attention to red, blue and green before it; L1H2's keys are made of that.

    It is (0, 0, 0) at the first label, then (1, 0, 0), (1/2, 1/2, 0) and (1/3, 1/3, 1/3). Other words are made large,
    so that what L0H3 happens to write there does not count.
    """
    kv_head, unit = CORRECT_LETTER.head // (HEADS // KV_HEADS), D_MODEL**-0.5
    below, above = (layer.self_attn for layer in model.model.layers)
    for index in range(4):
        below.q_proj.weight[3 * D_HEAD + STABLE[0], LABEL + index] = 2
    for word in (*FILLERS[3:7], *FILLERS[8:]):
        model.model.embed_tokens.weight[WORDS.index(word), REST] = 10
    for index in range(3):
        model.model.embed_tokens.weight[WORDS.index(FILLERS[index]), ITEM + index] = 1
        below.k_proj.weight[kv_head * D_HEAD + STABLE[0], ITEM + index] = 2
        below.v_proj.weight[kv_head * D_HEAD + index, ITEM + index] = unit
        below.o_proj.weight[BEFORE + index, 3 * D_HEAD + index] = 1
    # By place: 1 - (red + blue + green), red - blue, blue - green, green.
    for place, (label, *before) in enumerate(((1, -1, -1, -1), (0, 1, -1, 0), (0, 0, 2, -2), (0, 0, 0, 3))):
        key = above.k_proj.weight[kv_head * D_HEAD + STABLE[place]]
        key[LABEL : LABEL + 4] = 2 * label
        key[BEFORE : BEFORE + 3] = 2 * torch.tensor(before, dtype=key.dtype)


def tokenizer() -> PreTrainedTokenizerFast:
    """A token for each of `WORDS`."""
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[unk]"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|\s|[^\w\s]"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[unk]")
