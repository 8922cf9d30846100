"""Mutations: what each changes, that each is the same each time, and where there is none."""

import pytest

from backend.contract.errors import QuestionError
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.questions.mutations import MUTATIONS
from backend.questions.templates import REGISTRY

QUESTION = Question("What color is a (ripe) lemon?", ("red", "yellow", "green", "blue"), 1, "colors")


def labels(name: str, seed: int = 0) -> str:
    question, spec = MUTATIONS[name].change(QUESTION, PromptSpec(), seed)
    assert question == QUESTION
    return "".join(spec.labels[:4])


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_it_is_the_same_each_time(name: str) -> None:
    assert MUTATIONS[name].change(QUESTION, PromptSpec(), 3) == MUTATIONS[name].change(
        QUESTION, PromptSpec(), 3
    )


def test_labels() -> None:
    assert labels("base") == "ABCD"
    assert labels("numbers") == "1234"
    assert not {*labels("random_letters")} & {*"ABCD"}
    assert len({labels("random_letters", seed) for seed in range(5)}) > 1
    ordered = [ord(letter) for letter in labels("ordered_letters")]
    assert ordered == list(range(ordered[0], ordered[0] + 4))
    assert ordered[0] > ord("D")
    for seed in range(5):
        assert sorted(labels("shuffled", seed)) == [*"ABCD"]
        assert all(new != old for new, old in zip(labels("shuffled", seed), "ABCD", strict=True))


def test_separators_leave_the_question_alone() -> None:
    _, spec = MUTATIONS["separators"].change(QUESTION, PromptSpec(), 0)
    text = "".join(part.text for part in REGISTRY[spec.template].segments(QUESTION, spec.labels, ()))
    assert text.endswith("a (ripe) lemon?\n[A] red\n[B] yellow\n[C] green\n[D] blue\nAnswer: [")


def test_without_a_prelude() -> None:
    _, spec = MUTATIONS["no_prelude"].change(QUESTION, PromptSpec(), 0)
    assert spec.template == "plain"
    with pytest.raises(QuestionError, match="no form without a prelude"):
        MUTATIONS["no_prelude"].change(QUESTION, spec, 0)
    with pytest.raises(QuestionError, match="no form with other separators"):
        MUTATIONS["separators"].change(QUESTION, spec, 0)


def test_no_letters_that_follow_each_other_are_free() -> None:
    question = Question("Which?", tuple(str(number) for number in range(10)))
    spec = PromptSpec(labels=("E", "J", "O", "T", "Y", "1", "2", "3", "4", "5"))
    with pytest.raises(QuestionError, match="No 10 consecutive letters"):
        MUTATIONS["ordered_letters"].change(question, spec, 0)
