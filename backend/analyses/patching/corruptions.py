"""Corrupted prompts to patch against: resample ablation needs another prompt that the model might well have read.

Each kind has a maker of one prompt from the clean one; which kinds there are is ours to define.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

from backend.contract.errors import RequestError, shown
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.instrument import Instrument
from backend.questions.banks import load_bank
from backend.questions.prompt import Prompt
from backend.questions.templates import REGISTRY

Shots = tuple[Question, ...]


@dataclass(frozen=True)
class Clean:
    """The clean side: the question, how it is rendered, and the prompt it became."""

    question: Question
    spec: PromptSpec
    shots: Shots
    prompt: Prompt


@dataclass(frozen=True)
class Corrupted:
    """The corrupted side: its tokens, and for each clean position the corrupted one that stands for it.

    `match` holds None where no corrupted token has the same role and place: such a cell is refused, not guessed.
    """

    token_ids: tuple[int, ...]
    match: tuple[int | None, ...]
    note: str

    @property
    def aligned(self) -> bool:
        """Whether each position stands for itself."""
        return self.match == tuple(range(len(self.token_ids)))


def draws(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> list[Corrupted]:
    """The corrupted prompts that `{"kind": ..., "seed": 0, "draws": 3, ...}` asks for, each drawn with the next seed.

    `data` is as the schema reads it. Draws that give the same prompt count once. Raises RequestError where nothing
    would differ.
    """
    first = data.get("seed", 0)
    made = [
        corrupted(instrument, clean, {**data, "seed": first + number})
        for number in range(data.get("draws", 1))
    ]
    return list({other.token_ids: other for other in made}.values())


def corrupted(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """One prompt of `{"kind": ..., ...}`, as the schema reads it. Raises RequestError where nothing would differ."""
    made = MAKERS[data["kind"]](instrument, clean, data)
    if made.token_ids == clean.prompt.token_ids:
        raise RequestError(
            "The corrupted prompt is the clean one: there is nothing to patch. Change the corruption."
        )
    return made


def matched(clean: Prompt, other: Prompt) -> tuple[int | None, ...]:
    """For each clean position the other prompt's position of the same role and place within it.

    Where a role has another number of tokens in the other prompt, none of its tokens is matched.
    """
    match: list[int | None] = [None] * len(clean.roles)
    for role in dict.fromkeys(clean.roles):
        here, there = clean.positions(role), other.positions(role)
        if len(here) == len(there):
            for position, counterpart in zip(here, there, strict=True):
                match[position] = counterpart
    return tuple(match)


def _text(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """A text of one's own."""
    text = data["prompt"]
    special = not REGISTRY[clean.spec.template].chat
    ids = tuple(instrument.tokenizer(text, add_special_tokens=special)["input_ids"])
    expected = len(clean.prompt.token_ids)
    if len(ids) != expected:
        raise RequestError(
            f"The corrupted prompt is {len(ids)} tokens, the clean one {expected}. A text of one's own must have "
            "as many tokens; replace words by others of the same length."
        )
    return Corrupted(ids, tuple(range(expected)), "the given text")


def _question(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """Another question, given or drawn with another right letter."""
    if "question" in data:
        other = Question.from_json(data["question"])
    else:
        other = _drawn(clean.question, data["bank"], data["seed"])
    return _rendered(instrument, clean, other, clean.spec, f"another question: {other.stem}")


def _swapped(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """The right option's text (the first's where none is right) changes places with one of equal token length."""
    options = clean.question.options
    right = clean.question.answer or 0
    others = [place for place in range(len(options)) if place != right]
    random.Random(data["seed"]).shuffle(others)
    for place in others:
        texts = list(options)
        texts[right], texts[place] = texts[place], texts[right]
        swapped = replace(clean.question, options=tuple(texts))
        made = _rendered(
            instrument, clean, swapped, clean.spec, f"options {right + 1} and {place + 1} swapped"
        )
        if made.aligned:
            return made
    raise RequestError(
        "No other option has as many tokens as the right one, so none can be swapped with it. "
        "Choose another corruption, or options of equal length."
    )


def _shuffled(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """The labels in another order, none at its own place."""
    labels = list(clean.prompt.labels)
    order = random.Random(data["seed"])
    while any(new == old for new, old in zip(labels, clean.prompt.labels, strict=True)):
        order.shuffle(labels)
    spec = replace(clean.spec, labels=tuple(labels))
    return _rendered(instrument, clean, clean.question, spec, f"labels {' '.join(labels)}")


def _random_letters(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    """Labels that are none of the clean prompt's."""
    free = [letter for letter in ascii_uppercase if letter not in clean.prompt.labels]
    labels = tuple(random.Random(data["seed"]).sample(free, len(clean.prompt.labels)))
    spec = replace(clean.spec, labels=labels)
    return _rendered(instrument, clean, clean.question, spec, f"labels {' '.join(labels)}")


MAKERS: dict[str, Callable[[Instrument, Clean, Mapping[str, Any]], Corrupted]] = {
    "question": _question,
    "swap_options": _swapped,
    "shuffle_labels": _shuffled,
    "random_letters": _random_letters,
    "text": _text,
}


def _rendered(
    instrument: Instrument, clean: Clean, question: Question, spec: PromptSpec, note: str
) -> Corrupted:
    other = instrument.prompt(question, spec, clean.shots)
    return Corrupted(other.token_ids, matched(clean.prompt, other), note)


def _drawn(question: Question, bank: str, seed: int) -> Question:
    """A question of the bank with as many options and another right place, of the same subject where there is one."""
    others = [
        other
        for other in load_bank(bank).questions
        if len(other.options) == len(question.options)
        and other.stem != question.stem
        and other.answer is not None
        and other.answer != question.answer
    ]
    if not others:
        raise RequestError(
            f"The bank {shown(bank)} has no question with {len(question.options)} options to take."
        )
    same = [other for other in others if other.subject == question.subject]
    return random.Random(seed).choice(same or others)
