"""A small real tokenizer: byte-level BPE with Qwen's splitting rules, trained on a few lines."""

from collections.abc import Sequence

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LINES = [
    "A highly knowledgeable and intelligent artificial intelligence model "
    "answers multiple-choice questions about colors.",
    *[f"({label}) red\n({label}) black\n({label}) white\nAnswer: (" for label in "ABCDabcd"],
    "What color is a raven?\n",
]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(
    *,
    bos: bool = False,
    trim_offsets: bool = False,
    chat_template: str | None = None,
    more: Sequence[str] = (),
) -> PreTrainedTokenizerFast:
    """A new tokenizer; `trim_offsets` leaves blanks out of the offsets, as GPT-2's does."""
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|bos|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([*LINES * 5, *more], trainer)
    post: list[object] = [processors.ByteLevel(trim_offsets=trim_offsets)]
    if bos:
        post.append(processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)]))
    core.post_processor = processors.Sequence(post)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<|bos|>")
    tokenizer.chat_template = chat_template
    return tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Without special tokens, as Qwen's."""
    return build()


@pytest.fixture(scope="session")
def spaced() -> PreTrainedTokenizerFast:
    """Its vocabulary has the letters with a blank before them, as most tokenizers' have."""
    return build(more=[f"Answer: {label}" for label in "ABCDabcd"] * 20)
