import pytest

from backend.contract.errors import QuestionError
from backend.contract.question import Question


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stem": " \n"}, "The question is empty"),
        ({"subject": ""}, "The subject is empty"),
        ({"options": ("a",)}, "this one has 1"),
        ({"options": tuple("abcdefghijk")}, "this one has 11"),
        ({"options": ("a", " ")}, "The option 2 is empty"),
        ({"options": ("a", "b", " a")}, "Options 1 and 3 are the same, ' a'"),
        ({"answer": 2}, "right answer is option 2 counted from 0, but there are 2"),
        ({"answer": -1}, "right answer is option -1"),
        ({"stem": "a\x00b"}, r"The question holds the control character U\+0000 at place 2"),
        ({"options": ("a", "b\x1b")}, r"The option 2 holds the control character U\+001B"),
        ({"stem": "\ud800"}, r"U\+D800"),
    ],
)
def test_what_is_not_usable_is_told_by_field(fields: dict[str, object], message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        Question(**{"stem": "Who?", "options": ("a", "b"), **fields})  # type: ignore[arg-type]


def test_json_both_ways() -> None:
    question = Question("Who?\t<b>\n🦉", ("a", "שלום"), 1, "birds")
    assert Question.from_json(question.to_json()) == question


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "is an object with stem and options, not"),
        ({"stem": "Who?", "options": ["a", "b"], "id": 1}, "has no field 'id'"),
        ({"stem": "Who?"}, "options must be a list of texts, not None"),
        ({"stem": 1, "options": ["a", "b"]}, "The stem must be a text, not 1"),
        ({"stem": "Who?", "options": ["a", 2]}, "The option 2 must be a text, not 2"),
        ({"stem": "Who?", "options": ["a", "b"], "answer": "A"}, "answer must be the right option's index"),
        ({"stem": "Who?", "options": ["a", "b"], "answer": True}, "not True"),
    ],
)
def test_json_of_another_form_is_refused(data: object, message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        Question.from_json(data)
