import pytest

from app.selection import EXAMPLES, select
from app.state import Chosen
from backend.contract.model import DEFAULT_MODEL
from backend.contract.question import Question
from backend.questions.banks import load_bank
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


def test_before_a_question_is_chosen_a_page_shows_the_models_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.selection.EXAMPLES", {DEFAULT_MODEL: ("other", 2), "strange": ("gone", 2)})
    client = FakeClient()
    shown = (
        ("", 0, ("other", 2)),
        ("copy-colors", 0, ("copy-colors", 1)),
        ("other", 0, ("other", 2)),
        ("other", 1, ("other", 1)),
    )
    for bank, item, expected in shown:
        selection, problems = select(Chosen(bank=bank, item=item), client)
        assert (selection.bank.name, selection.chosen.item) == expected
        assert not problems
    for model in ("strange", "no/such"):
        selection, problems = select(Chosen(model=model), client)
        assert (selection.bank.name, selection.chosen.item, problems) == ("copy-colors", 1, [])


def test_the_examples_are_questions_of_our_banks() -> None:
    for bank, item in EXAMPLES.values():
        assert 1 <= item <= len(load_bank(bank).questions)
