"""Mutations of a prompt's labels: the same question with other letters, to see what a head depends on.

The registry of kinds, after Lieberum et al. 2023, section 4. Which letters, and how they are drawn, is ours. Random
letters and numbers keep the position of each label in the list. Shuffled letters do not: A may be the third.

Example, for the labels A B C D:

    random_letters   K T F X      letters that are not among A to D
    ordered_letters  K L M N      consecutive letters that are not among A to D
    shuffled         C A D B      the same letters in another order, none at its own position
    numbers          1 2 3 4
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from string import ascii_uppercase

from backend.contract.errors import QuestionError, shown
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question

Mutated = tuple[Question, PromptSpec]


@dataclass(frozen=True)
class Mutation:
    """One kind of mutation.

    Attributes:
        change: from question, prompt and seed to the mutated ones. Raises QuestionError if the mutation is impossible.
    """

    name: str
    title: str
    change: Callable[[Question, PromptSpec, int], Mutated]


def _base(question: Question, spec: PromptSpec, seed: int) -> Mutated:
    return question, spec


def _random_letters(question: Question, spec: PromptSpec, seed: int) -> Mutated:
    """Letters that are not among the labels."""
    count = len(question.options)
    free = [letter for letter in ascii_uppercase if letter not in spec.labels[:count]]
    return question, replace(spec, labels=tuple(_generator(question, seed).sample(free, count)))


def _ordered_letters(question: Question, spec: PromptSpec, seed: int) -> Mutated:
    """Consecutive letters that are not among the labels."""
    count = len(question.options)
    runs = [ascii_uppercase[start : start + count] for start in range(len(ascii_uppercase) - count + 1)]
    free = [run for run in runs if not {*run} & {*spec.labels[:count]}]
    if not free:
        raise QuestionError(f"No {count} consecutive letters are free of the labels in use.")
    return question, replace(spec, labels=tuple(_generator(question, seed).choice(free)))


def _shuffled(question: Question, spec: PromptSpec, seed: int) -> Mutated:
    """The labels in another order, none at its own position in the list."""
    usual = spec.labels[: len(question.options)]
    labels, order = list(usual), _generator(question, seed)
    while any(new == old for new, old in zip(labels, usual, strict=True)):
        order.shuffle(labels)
    return question, replace(spec, labels=tuple(labels))


def _numbers(question: Question, spec: PromptSpec, seed: int) -> Mutated:
    return question, replace(spec, labels=tuple(str(index + 1) for index in range(len(question.options))))


def _separators(question: Question, spec: PromptSpec, seed: int) -> Mutated:
    others = {"paper": "square", "square": "paper"}
    if spec.template not in others:
        raise QuestionError(f"The template {shown(spec.template)} has no form with other separators.")
    return question, replace(spec, template=others[spec.template])


def _no_prelude(question: Question, spec: PromptSpec, seed: int) -> Mutated:
    if spec.template != "paper":
        raise QuestionError(f"The template {shown(spec.template)} has no form without a prelude.")
    return question, replace(spec, template="plain")


MUTATIONS: dict[str, Mutation] = {
    mutation.name: mutation
    for mutation in (
        Mutation("base", "as asked", _base),
        Mutation("random_letters", "random letters", _random_letters),
        Mutation("ordered_letters", "ordered letters", _ordered_letters),
        Mutation("shuffled", "shuffled labels", _shuffled),
        Mutation("numbers", "numbers", _numbers),
        Mutation("separators", "other separators", _separators),
        Mutation("no_prelude", "no prelude", _no_prelude),
    )
}


def _generator(question: Question, seed: int) -> random.Random:
    """A random generator that depends on seed and question only, so that a question always gets the same letters."""
    return random.Random(f"{seed}:{question.stem}:{question.options}")
