"""The swap test tells a head that follows the n-th item from one that follows the letter."""

from dataclasses import replace

import pytest

from backend.analyses import Findings, Task
from backend.analyses.mutations.schema import SWAP_TEST
from backend.analyses.mutations.swap_test import sentence, swap_for
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import silent
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTIONS = tuple(hand_wired.question(number % 4) for number in range(12))


@pytest.fixture(scope="module")
def by_place() -> Instrument:
    return Instrument(hand_wired.hand_wired(by_place=True))


def found(
    instrument: Instrument, asked: tuple[Question, ...] = QUESTIONS, head: HeadRef = hand_wired.CORRECT_LETTER
) -> Findings:
    request = Request.build(
        "swap-test", questions=asked, prompt=hand_wired.SPEC, params={"head": [head.layer, head.head]}
    )
    SWAP_TEST.check(request)
    return SWAP_TEST.run(instrument, Task(request, asked, ((),) * len(asked)), silent)


def test_the_second_form_answers_as_the_first(by_place: Instrument) -> None:
    for right in range(4):
        prompt = by_place.prompt(hand_wired.question(right), hand_wired.SPEC)
        logits = by_place.trace(prompt.token_ids).logits[list(prompt.answer_ids)]
        assert int(logits.argmax()) == right


def test_letter_and_place_are_told_apart(hand_wired_instrument: Instrument, by_place: Instrument) -> None:
    letter, place = found(hand_wired_instrument), found(by_place)
    assert letter.scalars["index"] < -0.9
    assert place.scalars["index"] > 0.9
    assert "follows the letter" in letter.scalars["sentence"]
    assert "follows the n-th item" in place.scalars["sentence"]
    assert letter.arrays["follows_letter"].values.min() > 0.9
    assert place.arrays["follows_place"].values.min() > 0.8
    # The answer follows too.
    assert letter.scalars["answer_letter"] > letter.scalars["answer_place"] + 1
    assert place.scalars["answer_place"] > place.scalars["answer_letter"] + 1
    for result in (letter, place):
        for value, limit in result.checks.values():
            assert value < limit


def test_a_head_that_does_nothing_in_particular_is_between(hand_wired_instrument: Instrument) -> None:
    assert abs(found(hand_wired_instrument, head=HeadRef(1, 0)).scalars["index"]) < 0.5


def test_places_and_letters_are_apart(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument)
    assert result.scalars["kept"] == len(QUESTIONS)
    assert [told["stem"] for told in result.scalars["questions"]] == [asked.stem for asked in QUESTIONS]
    same = tuple(replace(hand_wired.question(2), subject=f"s{number}") for number in range(3))
    with pytest.raises(RequestError, match="different right places needs at least 2"):
        found(hand_wired_instrument, same)
    assert swap_for(0, 1, [], 0) is None
    two = tuple(Question("pick alpha", ("red", "blue"), right, "red") for right in (0, 1))
    with pytest.raises(RequestError, match="three options"):
        found(hand_wired_instrument, two)


def test_sentences() -> None:
    head = HeadRef(1, 2)
    assert "leans to the letter" in sentence(head, -0.3, -0.4, -0.2)
    assert "leans to the n-th item" in sentence(head, 0.3, 0.2, 0.4)
    assert "is not seen to prefer" in sentence(head, 0.1, -0.1, 0.3)
