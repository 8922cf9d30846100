"""How each corruption makes another prompt from the clean one.

Patching replaces activations with those of another real prompt (resample ablation), not with zeros or means. The kinds
of corruption are ours.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from string import ascii_uppercase
from typing import Any

from backend.contract.corruptions import PAIR_TITLES
from backend.contract.errors import RequestError, shown
from backend.contract.prompt import PromptSpec
from backend.contract.question import PAIRS, Question
from backend.engine.instrument import Instrument
from backend.questions.banks import load_bank
from backend.questions.encoding import Spans, encode
from backend.questions.prompt import Prompt
from backend.questions.templates import REGISTRY

Shots = tuple[Question, ...]


@dataclass(frozen=True)
class Clean:
    """The clean prompt, with the question, template and shots that it was rendered from.

    `letter` is the index of the label that the answer is taken away from: the right one, or the likeliest if none is
    known to be right.
    """

    question: Question
    spec: PromptSpec
    shots: Shots
    prompt: Prompt
    letter: int

    def moved(self, data: Mapping[str, Any]) -> int:
        """The same for a corruption that may name a label. Raises RequestError for one that is not shown."""
        if "label" not in data:
            return self.letter
        if data["label"] not in self.prompt.labels:
            raise RequestError(
                f"The question has no option {data['label']} to take the answer away from. Its labels: "
                f"{', '.join(self.prompt.labels)}."
            )
        return self.prompt.labels.index(data["label"])


@dataclass(frozen=True)
class Corrupted:
    """The corrupted prompt.

    Attributes:
        match: for each clean position the corrupted position with the same role; None if there is none. Such a cell is
            not patched.
        roles: for each of its positions the role.
        note: how it differs from the clean prompt, in words.
    """

    token_ids: tuple[int, ...]
    match: tuple[int | None, ...]
    roles: tuple[str, ...]
    note: str

    @property
    def aligned(self) -> bool:
        """Whether each position is matched with the same position."""
        return self.match == tuple(range(len(self.token_ids)))


def draws(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> list[Corrupted]:
    """The corrupted prompts of `{"kind": ..., "seed": 0, "draws": 3, ...}`, each drawn with the next seed.

    `data` has its defaults filled in. Equal prompts count once. Raises RequestError if a prompt equals the clean one.
    """
    first = data.get("seed", 0)
    made = [
        corrupted(instrument, clean, {**data, "seed": first + number})
        for number in range(data.get("draws", 1))
    ]
    return list({other.token_ids: other for other in made}.values())


def corrupted(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """One prompt of `{"kind": ..., ...}`. Raises RequestError if it equals the clean prompt."""
    made = MAKERS[data["kind"]](instrument, clean, data)
    if made.token_ids == clean.prompt.token_ids:
        raise RequestError(
            "The corrupted prompt is the clean one: there is nothing to patch. Change the corruption."
        )
    return made


def matched(clean: Prompt, other: Prompt) -> tuple[int | None, ...]:
    """For each clean position the other prompt's position with the same role and the same index within that role.

    If a role has another number of tokens in the other prompt, none of its tokens is matched.

    Example: the roles (stem, option 0, option 0, final) and (stem, option 0, final) match as (0, None, None, 2).
    """
    match: list[int | None] = [None] * len(clean.roles)
    for role in dict.fromkeys(clean.roles):
        positions, counterparts = clean.positions(role), other.positions(role)
        if len(positions) == len(counterparts):
            for position, counterpart in zip(positions, counterparts, strict=True):
                match[position] = counterpart
    return tuple(match)


def _text(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """The text that the request gives."""
    text = data["prompt"]
    special = not REGISTRY[clean.spec.template].chat
    ids = encode(instrument.tokenizer, text, special=special, markup=_markup_in(text, clean.prompt)).ids
    expected = len(clean.prompt.token_ids)
    if len(ids) != expected:
        raise RequestError(
            f"The corrupted prompt is {len(ids)} tokens, the clean one {expected}. The given text must have "
            "as many tokens. Replace words with others of the same length."
        )
    return Corrupted(ids, tuple(range(expected)), clean.prompt.roles, "the given text")


def _markup_in(text: str, prompt: Prompt) -> Spans | None:
    """Where the clean prompt's chat markup stands in another text. Raises RequestError where some of it is missing."""
    if prompt.markup is None:
        return None
    spans, reached = [], 0
    for start, end in prompt.markup:
        written = prompt.text[start:end]
        place = (
            text.rfind(written, reached) if (start, end) == prompt.markup[-1] else text.find(written, reached)
        )
        if place < 0:
            raise RequestError(
                f"The corrupted prompt lacks the chat markup {shown(written)}. Give the whole prompt, with other words."
            )
        reached = place + len(written)
        spans.append((place, reached))
    return tuple(spans)


def _question(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """Another question, given or drawn so that another letter is right."""
    if "question" in data:
        other = Question.from_json(data["question"])
    else:
        other = _drawn(clean.question, clean.moved(data), data["bank"], data["seed"])
    return _rendered(instrument, clean, other, clean.spec, f"another question: {other.stem}")


def _swapped(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """The text of the option that has the letter swapped with another of equal token length."""
    options, moved = clean.question.options, clean.moved(data)
    others = [index for index in range(len(options)) if index != moved]
    random.Random(data["seed"]).shuffle(others)
    for other in others:
        texts = list(options)
        texts[moved], texts[other] = texts[other], texts[moved]
        swapped = replace(clean.question, options=tuple(texts))
        made = _rendered(
            instrument, clean, swapped, clean.spec, f"options {moved + 1} and {other + 1} swapped"
        )
        if made.aligned:
            return made
    raise RequestError(
        f"No other option has as many tokens as option {clean.prompt.labels[moved]}, so none can be swapped with it. "
        "Choose another corruption, or options of equal length."
    )


def _shuffled(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """The labels in another order, none at its old index."""
    labels = list(clean.prompt.labels)
    order = random.Random(data["seed"])
    while any(new == old for new, old in zip(labels, clean.prompt.labels, strict=True)):
        order.shuffle(labels)
    spec = replace(clean.spec, labels=tuple(labels))
    return _rendered(instrument, clean, clean.question, spec, f"labels {' '.join(labels)}")


def _random_letters(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """Letters that are not among the clean prompt's labels."""
    free = [letter for letter in ascii_uppercase if letter not in clean.prompt.labels]
    labels = tuple(random.Random(data["seed"]).sample(free, len(clean.prompt.labels)))
    spec = replace(clean.spec, labels=labels)
    return _rendered(instrument, clean, clean.question, spec, f"labels {' '.join(labels)}")


def _pair(kind: str, instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """The corrupted form of this kind that the question brings with it, in the clean prompt's template."""
    pair = clean.question.pair(kind)
    if pair is None:
        raise RequestError(
            f"The question brings no pair {kind} with it. Choose another corruption, "
            "or a bank with pairs, such as MIB's."
        )
    spec = replace(clean.spec, labels=pair.labels or clean.spec.labels)
    return _rendered(instrument, clean, pair.question, spec, f"the question's own pair, {PAIR_TITLES[kind]}")


MAKERS: dict[str, Callable[[Instrument, Clean, Mapping[str, Any]], Corrupted]] = {
    "question": _question,
    "swap_options": _swapped,
    "shuffle_labels": _shuffled,
    "random_letters": _random_letters,
    **{f"pair_{kind}": partial(_pair, kind) for kind in PAIRS},
    "text": _text,
}


def _rendered(
    instrument: Instrument, clean: Clean, question: Question, spec: PromptSpec, note: str
) -> Corrupted:
    other = instrument.prompt(question, spec, clean.shots)
    return Corrupted(other.token_ids, matched(clean.prompt, other), other.roles, note)


def _drawn(question: Question, letter: int, bank: str, seed: int) -> Question:
    """A question of the bank with as many options and another letter right; of the same subject if there is one."""
    others = [
        other
        for other in load_bank(bank).questions
        if len(other.options) == len(question.options)
        and other.stem != question.stem
        and other.answer is not None
        and other.answer != letter
    ]
    if not others:
        raise RequestError(
            f"The bank {shown(bank)} has no question with {len(question.options)} options to take."
        )
    same = [other for other in others if other.subject == question.subject]
    return random.Random(seed).choice(same or others)
