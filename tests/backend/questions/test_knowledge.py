"""The quality of the bank that we wrote: what a machine can check of it."""

import re
from collections import Counter
from itertools import pairwise

import pytest

from backend.contract.question import Question
from backend.questions.banks import load_bank

QUESTIONS = load_bank("knowledge").questions
SUBJECTS = sorted({question.subject for question in QUESTIONS})


def longest_is_right(question: Question) -> bool:
    lengths = [len(option) for option in question.options]
    return lengths.count(max(lengths)) == 1 and lengths.index(max(lengths)) == question.answer


def test_there_are_enough_questions_over_enough_subjects() -> None:
    assert len(QUESTIONS) >= 240
    assert len(SUBJECTS) >= 8
    assert min(Counter(question.subject for question in QUESTIONS).values()) >= 30
    assert {"high school geography", "astronomy", "elementary mathematics", "nutrition"} <= set(SUBJECTS)


@pytest.mark.parametrize("subject", [*SUBJECTS, None])
def test_right_letters_are_balanced(subject: str | None) -> None:
    right = Counter(question.answer for question in QUESTIONS if subject in (None, question.subject))
    expected = right.total() / 4
    chi_square = sum((right[place] - expected) ** 2 / expected for place in range(4))
    assert chi_square < 2.37  # half of all random assignments would be less balanced than this


def test_places_do_not_follow_one_another_in_a_pattern() -> None:
    places = [question.answer for question in QUESTIONS]
    steps = Counter(
        (after - before) % 4 for before, after in pairwise(places) if before is not None and after is not None
    )
    assert max(steps.values()) < len(places) * 0.45


def test_no_question_comes_twice() -> None:
    assert len({question.stem.lower() for question in QUESTIONS}) == len(QUESTIONS)


def faults(question: Question) -> list[str]:
    """What is wrong with the form of a question."""
    lengths = [len(option) for option in question.options]
    texts = (question.stem, *question.options)
    checks = {
        "not four options with one right": question.answer is not None and len(question.options) == 4,
        "stem does not end with ?": question.stem.endswith("?"),
        "stem does not begin like a sentence": question.stem[0].isupper(),
        "stem too short or too long": 15 <= len(question.stem) <= 110,
        "options too long": max(lengths) <= 25,
        "options of different length": max(lengths) <= 4 * min(lengths) + 6,
        "two options the same": len({option.casefold() for option in question.options}) == 4,
        "blanks": all(text == " ".join(text.split()) for text in texts),
        "odd characters": all(text.isascii() and text.isprintable() for text in texts),
        "numbers beside words": len({option[0].isdigit() for option in question.options}) == 1,
        "capitals beside small letters": len({option[0].isupper() for option in question.options}) == 1,
    }
    return [fault for fault, fine in checks.items() if not fine]


def test_each_question_is_well_formed() -> None:
    assert {question.stem: found for question in QUESTIONS if (found := faults(question))} == {}


def test_no_stem_gives_its_answer_away() -> None:
    for question in QUESTIONS:
        assert question.answer is not None
        right = question.options[question.answer].lower()
        words = re.findall(r"[\w-]+", question.stem.lower())
        assert right.isdigit() or right not in words, question.stem


def test_the_longest_option_is_not_mostly_the_right_one() -> None:
    assert sum(map(longest_is_right, QUESTIONS)) < 0.4 * len(QUESTIONS)


@pytest.mark.parametrize(
    ("stem", "right"),
    [
        ("What is the capital city of Australia?", "Canberra"),
        ("What is 7 times 8?", "56"),
        ("Which planet has the Great Red Spot?", "Jupiter"),
        ("Which organ makes bile?", "Liver"),
        ("In which year was the Battle of Hastings?", "1066"),
    ],
)
def test_the_right_option_is_the_right_one(stem: str, right: str) -> None:
    (question,) = [question for question in QUESTIONS if question.stem == stem]
    assert question.answer is not None
    assert question.options[question.answer] == right
