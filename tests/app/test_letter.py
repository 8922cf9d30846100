import pytest

from app.letter import letter_explained
from app.selection import select
from app.state import Chosen
from backend.contract.question import Question
from tests.app.fake_client import FakeClient


@pytest.mark.parametrize(
    ("answer", "about", "explained"),
    [
        (None, "said", "C, the letter said"),
        (None, "right", "C, the letter said"),
        (0, "said", "C, the letter said"),
        (0, "right", "A, the right letter"),
        (2, "said", "C, the right letter"),
        (2, "right", "C, the right letter"),
    ],
)
def test_nobody_takes_a_letter_for_right_that_was_not_marked(
    answer: int | None, about: str, explained: str
) -> None:
    question = Question("Which?", ("a", "b", "c"), answer)
    selection, _ = select(Chosen(question=question, about=about), FakeClient())
    assert letter_explained("C", selection).name == explained
