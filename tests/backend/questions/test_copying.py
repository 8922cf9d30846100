from collections import Counter
from collections.abc import Callable

import pytest

from backend.contract.question import Question
from backend.questions import copying

MAKERS = [copying.colors, copying.facts]


@pytest.mark.parametrize("make", MAKERS)
def test_at_least_200_distinct_questions_always_the_same(make: Callable[[], tuple[Question, ...]]) -> None:
    questions = make()
    assert len(questions) == len(set(questions)) >= 200
    assert questions == make()


@pytest.mark.parametrize("make", MAKERS)
def test_the_stem_states_the_right_option_and_no_other(make: Callable[[], tuple[Question, ...]]) -> None:
    for question in make():
        assert question.answer is not None
        stated, asked = question.stem.split(". ")
        right = question.options[question.answer]
        assert stated.endswith(f" {right}")
        assert asked.endswith("?")
        assert len(question.options) == 4
        words = stated.split()
        assert not [option for option in question.options if option != right and option in words]


@pytest.mark.parametrize("make", MAKERS)
def test_each_stem_has_its_right_option_at_every_place(make: Callable[[], tuple[Question, ...]]) -> None:
    places = Counter((question.stem, question.answer) for question in make())
    assert set(places.values()) == {1}
    assert len(places) == 4 * len({stem for stem, _ in places})


def test_colors_are_asked_as_published() -> None:
    questions = {question.stem: question for question in copying.colors()}
    sunflower = questions["A sunflower is yellow. What color is a sunflower?"]
    assert sunflower.subject == "colors"
    assert set(sunflower.options) <= set(copying.COLORS)


def test_every_color_is_offered_about_equally_often() -> None:
    wrong = Counter(
        option
        for question in copying.colors()
        for place, option in enumerate(question.options)
        if place != question.answer
    )
    assert set(wrong) == set(copying.COLORS)
    assert max(wrong.values()) < 1.5 * min(wrong.values())


def test_facts_have_several_relations() -> None:
    subjects = {question.subject for question in copying.facts()}
    assert subjects == {"world capitals", "languages", "animals", "opposites", "literature"}
