"""Control tokens: those that open and close messages, which a text can hold by quoting them.

To read them as text, a second tokenizer is made of the model's own. It matches no control token. In their places in the
chat markup stand other texts of the same length, in characters that no text uses, and these it does match. So one pass
cuts the whole text, with every step of the tokenizer as it is, and each character keeps its place.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from tokenizers import AddedToken
from tokenizers import Tokenizer as Core

from backend.contract.errors import QuestionError, shown
from backend.questions.tokenizer import Tokenizer

STAND_INS = 0xF0000
"""The first character of a private area of Unicode, from which the other texts are made."""
BAR_FORM = re.compile(r"<\|.*\|>|<｜.*｜>", re.DOTALL)
BRACKETED = re.compile(r"<.+>|\[.+\]", re.DOTALL)
Cut = tuple[Sequence[int], Sequence[tuple[int, int]], Sequence[int]]
"""Ids, the characters that each covers, and whether the tokenizer put it around the text."""


@lru_cache(maxsize=4)
def control_tokens(tokenizer: Tokenizer) -> Mapping[int, str]:
    """By id: added tokens that are special, are written `<|so|>`, or stand in brackets and in the chat template.

    Others are pieces of text: runs of blanks, or tags of HTML.
    """
    template = json.dumps(tokenizer.chat_template, ensure_ascii=False, default=str)
    return {
        number: token.content
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special
        or BAR_FORM.fullmatch(token.content)
        or (BRACKETED.fullmatch(token.content) and token.content in template)
    }


def spelled(tokenizer: Tokenizer, text: str, markup: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """The control tokens whose letters stand in the text outside of the markup, in order."""
    return tuple(match[0] for match in _outside(_matcher(tokenizer), text, markup))


@lru_cache(maxsize=1)
def reader_of_text(tokenizer: Tokenizer) -> "_ReaderOfText":
    """The second tokenizer. Takes up to a second for a vocabulary of 250,000."""
    return _ReaderOfText(tokenizer)


class _ReaderOfText:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._own = tokenizer
        self._controls = control_tokens(tokenizer)
        self._matcher = _matcher(tokenizer)
        description = json.loads(tokenizer.backend_tokenizer.to_str())
        flags = {token["content"]: token for token in description["added_tokens"]}
        for name in self._controls.values():
            flags[name]["special"] = True
        self._core = Core.from_str(json.dumps(description))
        self._core.no_truncation()
        self._core.no_padding()
        self._core.encode_special_tokens = True  # not matched
        self._stand_ins = {
            name: chr(STAND_INS + place) * len(name) for place, name in enumerate(self._controls.values())
        }
        self._core.add_tokens(
            [
                AddedToken(
                    text,
                    special=False,
                    **{flag: flags[name][flag] for flag in ("single_word", "lstrip", "rstrip", "normalized")},
                )
                for name, text in self._stand_ins.items()
            ]
        )
        self._numbers = {
            self._core.token_to_id(self._stand_ins[name]): number for number, name in self._controls.items()
        }

    def cut(self, text: str, markup: Sequence[tuple[int, int]], *, special: bool) -> Cut:
        """Raises QuestionError where a control token cannot be read as text.

        Checked by a text in which other letters of the same length stand in their place: of that, the model's own
        tokenizer must make the same tokens.
        """
        harmless = _replaced(text, _outside(self._matcher, text, markup), _unmarked)
        own = self._own(harmless, add_special_tokens=special)["input_ids"]
        ids, offsets, added = self._cut(text, markup, special=special)
        quoted = {match[0] for match in _outside(self._matcher, text, markup)}
        if list(self._cut(harmless, markup, special=special)[0]) != list(own) or any(
            self._controls.get(number) in quoted and start < stop and not within(start, markup)
            for number, (start, stop) in zip(ids, offsets, strict=True)
        ):
            raise QuestionError(
                f"This model's tokenizer cannot read {', '.join(map(shown, sorted(quoted)))} as plain text. "
                "Take it out of the question, or leave it as a control token."
            )
        return ids, offsets, added

    def _cut(self, text: str, markup: Sequence[tuple[int, int]], *, special: bool) -> Cut:
        if any(STAND_INS <= ord(character) < STAND_INS + len(self._stand_ins) for character in text):
            raise QuestionError("The text holds a character of a private area of Unicode. Take it out.")
        inside = [
            match for low, high in markup for match in self._matcher.finditer(text, low, min(high, len(text)))
        ]
        cut = self._core.encode(
            _replaced(text, inside, self._stand_ins.__getitem__), add_special_tokens=special
        )
        return [self._numbers.get(number, number) for number in cut.ids], cut.offsets, cut.special_tokens_mask


def _matcher(tokenizer: Tokenizer) -> re.Pattern[str]:
    """Matches the longest control token, as the tokenizer does."""
    names = sorted(control_tokens(tokenizer).values(), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names)) or r"(?!)")


def _outside(
    matcher: re.Pattern[str], text: str, markup: Sequence[tuple[int, int]]
) -> Iterator[re.Match[str]]:
    return (match for match in matcher.finditer(text) if not within(match.start(), markup))


def within(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a character stands in one of the spans."""
    return any(low <= place < high for low, high in spans)


def _replaced(text: str, matches: Iterable[re.Match[str]], by: Callable[[str], str]) -> str:
    """The text with other texts of the same lengths at the matches."""
    letters = list(text)
    for match in matches:
        letters[match.start() : match.end()] = by(match[0])
    return "".join(letters)


def _unmarked(name: str) -> str:
    return "x" * len(name)
