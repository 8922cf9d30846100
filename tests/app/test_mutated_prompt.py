"""The prompt under a mutation, where a bank's questions have different numbers of options."""

import pytest

from app.mutated_prompt import mutated_prompt
from backend.contract.errors import QuestionError
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.questions.mutations import MUTATIONS

THREE, FOUR, FIVE = (Question(f"Which of {count}?", tuple("uvwxy"[:count]), 0) for count in (3, 4, 5))
BANK = (FIVE, THREE, FOUR)
ASKED = PromptSpec()


def test_labels_are_drawn_for_the_questions_that_are_used() -> None:
    shuffled = mutated_prompt("shuffled", ASKED, BANK, 4).labels
    assert set(shuffled[:4]) == set("ABCD")
    assert all(new != old for new, old in zip(shuffled[:4], "ABCD", strict=True))
    assert shuffled[:4] == MUTATIONS["shuffled"].change(FOUR, ASKED, 0)[1].labels


@pytest.mark.parametrize("name", ["shuffled", "numbers", "random_letters", "separators"])
def test_longer_questions_can_be_asked_too(name: str) -> None:
    assert len(mutated_prompt(name, ASKED, BANK, 3).labels) >= 5


def test_what_changes_nothing_is_told() -> None:
    with pytest.raises(QuestionError, match=r"^numbers: It changes nothing here\.$"):
        mutated_prompt("numbers", PromptSpec(labels=tuple("1234E")), BANK, 4)
    others = PromptSpec(labels=tuple("23456"))
    assert mutated_prompt("numbers", others, BANK, 4).labels == tuple("12345")
