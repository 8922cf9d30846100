"""From text to tokens: by the model's own tokenizer, without an end token, and with quoted control tokens as text.

A tokenizer cuts its added tokens (`<|im_end|>`) out of a text before anything else. So a question that quotes one would
close the user's message. Where that is not wanted, control tokens hold in the chat markup only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from backend.contract.errors import QuestionError, is_failure, shown
from backend.questions.control_tokens import reader_of_text, spelled
from backend.questions.tokenizer import Tokenizer

Spans = tuple[tuple[int, int], ...]
"""Parts of a text: start and end in characters."""


@dataclass(frozen=True)
class Encoded:
    """The tokens of a text.

    Attributes:
        ids: one a token.
        offsets: the characters that each covers; (0, 0) for one that is not in the text.
        ended_by: the tokens that the tokenizer puts at the end of every text, which are left out of `ids`.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    ended_by: tuple[int, ...]


def encode(tokenizer: Tokenizer, text: str, *, special: bool, markup: Spans | None = None) -> Encoded:
    """Cut `text`, which the model is to go on with: what the tokenizer appends to end a text is left out.

    Args:
        special: whether the tokenizer puts its tokens around the text; a chat template has written them already.
        markup: where control tokens hold; elsewhere they are plain text. None: they hold everywhere.

    Raises QuestionError if the tokenizer cannot cut the text, leaves a character out, or cannot read a control token as
    text.
    """
    if markup is not None and spelled(tokenizer, text, markup):
        return _without_end(*reader_of_text(tokenizer).cut(text, markup, special=special))
    try:
        cut = tokenizer(
            text, add_special_tokens=special, return_offsets_mapping=True, return_special_tokens_mask=True
        )
    except BaseException as error:  # nothing more special is raised where the vocabulary lacks a character
        if not is_failure(error):
            raise
        raise QuestionError(_not_cut(tokenizer, text, error)) from error
    _refuse_dropped(tokenizer, text)
    if not cut["input_ids"]:
        raise QuestionError("This model's tokenizer makes no tokens of the text. Choose another model.")
    return _without_end(cut["input_ids"], cut["offset_mapping"], cut["special_tokens_mask"])


def _without_end(ids: Sequence[int], offsets: Sequence[tuple[int, int]], added: Sequence[int]) -> Encoded:
    kept = len(ids)
    while kept and added[kept - 1] and any(not flag for flag in added):
        kept -= 1
    return Encoded(tuple(ids[:kept]), tuple(map(tuple, offsets[:kept])), tuple(ids[kept:]))  # type: ignore[arg-type]


def _not_cut(tokenizer: Tokenizer, text: str, error: BaseException) -> str:
    lacking = next(
        (character for character in dict.fromkeys(text) if _alone(tokenizer, character) == "refused"), None
    )
    if lacking is None:
        reason = shown(" ".join(str(error).split()), 200)
        return f"This model's tokenizer cannot cut the text into tokens: {reason}. Choose another model."
    return (
        f"This model's tokenizer cannot cut the text into tokens: its vocabulary lacks {shown(lacking)} "
        f"(U+{ord(lacking):04X}), and has no token for what is unknown. Choose another model, or words without it."
    )


def _refuse_dropped(tokenizer: Tokenizer, text: str) -> None:
    """Where the library leaves a character out, it also shifts the places of all tokens after it."""
    for character in dict.fromkeys(text):
        if not character.isspace() and _alone(tokenizer, character) == "dropped":
            raise QuestionError(
                f"This model's tokenizer has no token for {shown(character)} (U+{ord(character):04X}) and leaves it "
                "out, so that the places of the other tokens are not known. Choose another model, or words without it."
            )


@lru_cache(maxsize=4096)
def _alone(tokenizer: Tokenizer, character: str) -> Literal["cut", "dropped", "refused"]:
    """What the tokenizer does with one character. What its normalizer takes away, such as an accent, is not lost."""
    try:
        ids = tokenizer(character, add_special_tokens=False)["input_ids"]
    except BaseException as error:
        if not is_failure(error):
            raise
        return "refused"
    normalizer = tokenizer.backend_tokenizer.normalizer
    if ids or (normalizer is not None and not normalizer.normalize_str(character).strip()):
        return "cut"
    return "dropped"
