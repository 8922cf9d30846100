import pytest

from app.selection import select
from app.state import Chosen
from backend.contract.question import Question
from tests.app.fake_client import FakeClient
from tests.app.made_up import BANK


def test_the_question_of_a_bank() -> None:
    selection, problems = select(Chosen(bank="copy-colors", item=2), FakeClient())
    assert problems == []
    assert selection.question == BANK[1]
    assert selection.right == "A"
    assert selection.ask("attribution", head=[1, 2]).params == {"head": [1, 2]}


def test_a_typed_question_goes_before_the_bank() -> None:
    own = Question("a?", ("b", "c", "d"))
    selection, _ = select(Chosen(question=own, labels="1"), FakeClient())
    assert selection.question is own
    assert selection.labels == ("1", "2", "3")
    assert selection.right is None


def test_shots_come_from_the_bank() -> None:
    assert select(Chosen(bank="other", shots=2), FakeClient())[0].prompt.shots_from == "other"


def test_no_more_questions_than_the_bank_has() -> None:
    questions = select(Chosen(bank="other", limit=60), FakeClient())[0].ask_bank("attribution").questions
    assert questions is not None
    assert not isinstance(questions, tuple)
    assert questions.limit == 2


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        (Chosen(bank="no such"), "no such"),
        (Chosen(item=99), "99"),
        (Chosen(labels="K P"), "K P"),
        (Chosen(labels="K K K K"), "different"),
        (Chosen(letter="Q"), "Q"),
    ],
)
def test_what_does_not_exist_is_told_and_replaced(chosen: Chosen, word: str) -> None:
    selection, problems = select(chosen, FakeClient())
    assert len(problems) == 1
    assert word in problems[0]
    assert select(selection.chosen, FakeClient()) == (selection, [])
