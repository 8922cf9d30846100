"""Every item is worked out again from what it says, by rules that are not those that made it."""

import re
from collections import Counter
from collections.abc import Callable

import pytest

from backend.contract.question import Question
from backend.questions import traps
from backend.questions.copying import CAPITALS

MAKERS = (traps.both, traps.negation, traps.statements, traps.one_word, traps.arithmetic, traps.order)
KIND_OF = {thing: kind for kind, things in traps.KINDS.items() for thing in things.split(", ")}
CAPITAL = dict(pair.rsplit(" ", 1) for pair in CAPITALS.split(", "))


def right(question: Question) -> str:
    assert question.answer is not None
    return question.options[question.answer]


@pytest.mark.parametrize("make", MAKERS)
def test_a_bank_has_32_different_questions_and_each_letter_is_right_in_8(
    make: Callable[[], tuple[Question, ...]],
) -> None:
    questions = make()
    assert len({(question.stem, question.options) for question in questions}) == 32
    assert Counter(question.answer for question in questions) == dict.fromkeys(range(4), 8)
    assert make() == questions


def test_no_thing_is_of_two_kinds() -> None:
    assert len(KIND_OF) == sum(len(things.split(", ")) for things in traps.KINDS.values())


def test_both() -> None:
    for question in traps.both():
        kind = question.stem.removeprefix("Which of these is ").removesuffix("?")
        fits = [KIND_OF[option] == kind for option in question.options[:2]]
        expected = (
            "both of these"
            if all(fits)
            else "none of these"
            if not any(fits)
            else question.options[fits.index(True)]
        )
        assert right(question) == expected


def test_negation() -> None:
    for question in traps.negation():
        kind = question.stem.removeprefix("Which of these is NOT ").removesuffix("?")
        assert [option for option in question.options if KIND_OF[option] != kind] == [right(question)]


def test_statements() -> None:
    for question in traps.statements():
        said = re.findall(r"capital of (\w+) is (\w+)\.", question.stem)
        assert len(said) == 2
        assert right(question) == ", ".join(str(CAPITAL[country] == city) for country, city in said)
        assert len(set(question.options)) == 4


def test_one_word() -> None:
    for question in traps.one_word():
        true = [
            option
            for option in question.options
            if CAPITAL[option.split()[3]] == option.split()[5].strip(".")
        ]
        assert true == [right(question)]
        assert len({tuple(option.split()[:5]) for option in question.options}) == 1


def test_arithmetic() -> None:
    for question in traps.arithmetic():
        match = re.fullmatch(r"What is (\d+) (\+|-|times) (\d+)\?", question.stem)
        assert match is not None
        one, sign, other = int(match[1]), match[2], int(match[3])
        value = {"+": one + other, "-": one - other, "times": one * other}[sign]
        assert [option for option in question.options if int(option) == value] == [right(question)]


def test_order() -> None:
    for question in traps.order():
        match = re.fullmatch(r"A list reads: (.+)\. Which is the (\w+) in the list\?", question.stem)
        assert match is not None
        listed, place = match[1].split(", "), traps.PLACE_NAMES.index(match[2])
        names = traps.DAYS if listed[0] in traps.DAYS else traps.MONTHS
        assert right(question) == listed[place]
        assert names[place] in question.options
        assert names[place] != right(question)
        start = names.index(listed[0])
        assert listed == [names[(start + step) % len(names)] for step in range(len(listed))]
