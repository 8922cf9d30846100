"""A model's tokenizer: the one of its tokenizer.json, which is what the model was published with."""

import gc
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from backend.contract.errors import ModelError, is_failure, shown
from backend.models.pretrained import from_pretrained, unusable
from backend.models.resolve import Resolved

if TYPE_CHECKING:
    import transformers

FILE = "tokenizer.json"
PROBE = "The year 1234567 isn't 3.14 (A): Café, naïve\n\n  İstanbul ﬁ\t#x_y=0; 東京 🦉!"
"""Digits, case, spaces, punctuation, accents, newlines: all that normalizers and pre-tokenizers treat differently."""


@lru_cache(maxsize=4)
def read_tokenizer(resolved: Resolved) -> "transformers.PreTrainedTokenizerFast":
    """Raises ModelError where it cannot be read, or does not cut a text as its tokenizer.json does.

    Kept for the last few models, some 30 MB each, so that going back and forth between two takes no more memory:
    it may be built from up to a million Python objects, in whose places objects that outlive a model would come to lie,
    and each keep a megabyte from being given back.
    """
    from transformers import AutoTokenizer

    assert resolved.folder is not None
    file = resolved.folder / FILE
    if resolved.kind in ("folder", "hub") and file.is_file():
        tokenizer = _of_file(resolved, file)
    else:  # unpacked from a GGUF, which has no such file of its own
        tokenizer = from_pretrained(resolved, "its tokenizer", AutoTokenizer)
    if not tokenizer.is_fast:
        raise ModelError(
            f"{shown(resolved.name)} has no {FILE}, which is needed to place tokens in the text."
        )
    if not tokenizer.backend_tokenizer.get_vocab_size(with_added_tokens=False):
        raise unusable(resolved, f"its tokenizer has no vocabulary ({FILE})")
    for parts in ("_vocab", "_merges"):  # what it was built from and does not look at again
        vars(tokenizer).pop(parts, None)
    gc.collect()
    return tokenizer


def _of_file(resolved: Resolved, file: Path) -> "transformers.PreTrainedTokenizerFast":
    """With the special tokens and the chat template of the folder.

    The classes that AutoTokenizer chooses between take the vocabulary alone from the file: Qwen2Tokenizer puts its own
    normalizer and pre-tokenizer in the place of the published ones. This class takes all of it.
    """
    from transformers import PreTrainedTokenizerFast

    tokenizer = from_pretrained(resolved, "its tokenizer", PreTrainedTokenizerFast)
    own = tokenizers.Tokenizer.from_file(str(file))
    own.no_truncation()
    own.no_padding()
    if tokenizer.unk_token is None:  # without it a label that the vocabulary lacks would not be noticed
        tokenizer.unk_token = getattr(own.model, "unk_token", None)
    found = _ids(lambda: tokenizer(PROBE)["input_ids"])
    wanted = _ids(lambda: own.encode(PROBE).ids)
    if found != wanted:
        raise unusable(resolved, _differing(found, wanted))
    return tokenizer


def _ids(encode: Any) -> list[int] | str:
    try:
        return list(encode())
    except (
        BaseException
    ) as error:  # the library raises nothing more special: a vocabulary without all characters
        if not is_failure(error):
            raise
        return str(error)


def _differing(found: list[int] | str, wanted: list[int] | str) -> str:
    same = 0
    while same < min(len(found), len(wanted)) and found[same] == wanted[same]:
        same += 1
    return (
        f"of the text {shown(PROBE)} its {FILE} makes the tokens {shown(wanted[same : same + 8])} (from token "
        f"{same} on), and with its tokenizer_config.json they are {shown(found[same : same + 8])}, so that it is not "
        "known how the model reads a text"
    )
