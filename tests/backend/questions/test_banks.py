import hashlib
import json
from collections import Counter

import pytest

from backend.contract.errors import QuestionError, RequestError
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import QuestionSet
from backend.questions import banks, uploads
from backend.questions.banks import bank_names, draw, draw_shots, load_bank


def uploaded(*questions: Question) -> str:
    lines = [json.dumps(question.to_json()) for question in questions]
    return uploads.keep("some.jsonl", "\n".join(lines).encode()).name


def test_every_registered_bank_loads() -> None:
    assert bank_names() == tuple(banks.REGISTRY)
    for name in bank_names():
        bank = load_bank(name)
        assert (bank.name, bank.title) == (name, banks.REGISTRY[name][0])
        assert len(bank.questions) >= (32 if name.startswith("trap-") else 200)


@pytest.mark.parametrize("name", ["nothing", "upload-000000000000", "upload-../../etc/passwd", "", "\n<b>"])
def test_an_unknown_bank_is_an_error_that_lists_the_names(name: str) -> None:
    with pytest.raises(
        QuestionError, match=r"There is no bank .* Choose one of knowledge, copy-colors, copy-facts"
    ):
        load_bank(name)


def test_shots_of_a_deleted_bank_are_refused_also_where_they_were_drawn_before() -> None:
    questions = [Question(f"Who is {number}?", ("a", "b"), 0) for number in range(3)]
    name = uploaded(*questions)
    spec = PromptSpec(shots=1, shots_from=name)
    assert len(draw_shots(questions[0], spec)) == 1
    uploads.delete(name)
    with pytest.raises(QuestionError, match="It may have been deleted"):
        draw_shots(questions[0], spec)


def test_an_uploaded_bank_is_listed_and_loaded() -> None:
    question = Question("Who?", ("a", "b"), 0)
    name = uploaded(question)
    assert bank_names() == (*banks.REGISTRY, name)
    assert load_bank(name).questions == (question,)


def test_without_limit_all_are_drawn_in_their_order() -> None:
    assert draw(QuestionSet("copy-colors")) == load_bank("copy-colors").questions


def test_a_draw_depends_on_the_seed_alone() -> None:
    drawn = draw(QuestionSet("knowledge", 60, 0))
    assert len(set(drawn)) == 60
    assert drawn == draw(QuestionSet("knowledge", 60, 0))
    assert drawn[:20] == draw(QuestionSet("knowledge", 20, 0))
    assert drawn != draw(QuestionSet("knowledge", 60, 1))


@pytest.mark.parametrize("version", [1, 2])
def test_a_draw_is_the_same_on_every_machine(version: int) -> None:
    stems = [question.stem for question in draw(QuestionSet("copy-colors", 2, 0, version))]
    assert stems == [
        "Bubble gum is pink. What color is bubble gum?",
        "A rhinoceros is gray. What color is a rhinoceros?",
    ]


@pytest.mark.parametrize("bank", tuple(banks.REGISTRY))
@pytest.mark.parametrize("limit", [1, 7, 20, 32, 60, 200])
def test_right_letters_are_as_equal_as_possible(bank: str, limit: int) -> None:
    for seed in range(5):
        drawn = draw(QuestionSet(bank, limit, seed))
        counts = Counter(question.answer for question in drawn)
        assert len(set(drawn)) == min(limit, len(load_bank(bank).questions))
        assert max(counts.values()) - min(counts[place] for place in range(4)) <= 1


def test_an_old_draw_can_be_asked_for_again() -> None:
    """Its questions as they were before draws were balanced: 14 with A, 6 of each other letter."""
    old = draw(QuestionSet("copy-colors", 32, 0, draw=1))
    assert Counter(question.answer for question in old) == {0: 14, 1: 6, 2: 6, 3: 6}
    digest = hashlib.sha256("".join(f"{one.stem}{one.answer}" for one in old).encode()).hexdigest()
    assert digest[:16] == "2961ceab8f7042f5"
    for version in ("2", 3, 0, True, None):
        with pytest.raises(RequestError, match=r"questions\.draw must be"):
            QuestionSet.from_json({"bank": "copy-colors", "limit": 32, "draw": version})


def test_a_bank_that_cannot_be_balanced_gives_what_it_has() -> None:
    """Two questions with B: they come in the first two rounds. One that nobody answered comes last."""
    answers = [None, *[0] * 6, 1, 1]
    name = uploaded(*(Question(f"Number {n}?", ("a", "b"), right) for n, right in enumerate(answers)))
    drawn = [question.answer for question in draw(QuestionSet(name, 9, 3))]
    assert {*drawn[:2]} == {*drawn[2:4]} == {0, 1}
    assert drawn[4:] == [0, 0, 0, 0, None]


def test_a_limit_beyond_the_bank_draws_all_of_it() -> None:
    assert set(draw(QuestionSet("knowledge", 9_999))) == set(load_bank("knowledge").questions)


def test_shots_are_of_the_same_subject_and_never_the_question() -> None:
    for question in load_bank("knowledge").questions:
        shots = draw_shots(question, PromptSpec(shots=5), "knowledge")
        assert len({shot.stem for shot in shots}) == 5
        assert {shot.subject for shot in shots} == {question.subject}
        assert question.stem not in {shot.stem for shot in shots}


def test_no_shot_shows_the_questions_own_fact() -> None:
    for question in load_bank("copy-colors").questions[:64]:
        assert question.stem not in {
            shot.stem for shot in draw_shots(question, PromptSpec(shots=5), "copy-colors")
        }


def test_shots_of_another_subject_follow_where_there_are_too_few() -> None:
    name = uploaded(
        Question("One?", ("a", "b"), 0, "x"),
        Question("Two?", ("a", "b"), 0, "y"),
        Question("Three?", ("a", "b"), 0, "x"),
        Question("Open?", ("a", "b"), None, "x"),
    )
    shots = draw_shots(Question("One?", ("c", "d"), 0, "x"), PromptSpec(shots=2), name)
    assert [shot.stem for shot in shots] == ["Three?", "Two?"]
    with pytest.raises(QuestionError, match="has 2 other solved questions, not 3"):
        draw_shots(Question("One?", ("c", "d"), 0, "x"), PromptSpec(shots=3), name)


def test_shots_fit_the_labels() -> None:
    name = uploaded(Question("Many?", tuple("abcdef"), 0), Question("Few?", ("a", "b"), 0))
    (shot,) = draw_shots(Question("Who?", ("a", "b")), PromptSpec(labels=("A", "B"), shots=1), name)
    assert shot.stem == "Few?"


def test_where_shots_come_from() -> None:
    question = Question("Who?", ("a", "b"), subject="colors")
    assert draw_shots(question, PromptSpec(), "no such bank") == ()
    named = PromptSpec(shots=1, shots_from="copy-colors")
    assert draw_shots(question, named, "knowledge")[0] in load_bank("copy-colors").questions
    assert draw_shots(question, PromptSpec(shots=1), "copy-facts")[0] in load_bank("copy-facts").questions
    assert draw_shots(question, PromptSpec(shots=1))[0] in load_bank("knowledge").questions
    with pytest.raises(QuestionError, match=r"There is no bank 'other'"):
        draw_shots(question, PromptSpec(shots=1, shots_from="other"))
