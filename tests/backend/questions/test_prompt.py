import pytest

from backend.contract.errors import RequestError
from backend.contract.prompt import PromptSpec
from backend.questions.prompt import Prompt


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"template": "poem"}, "There is no template 'poem'. Choose one of paper, plain, chat"),
        ({"shots": 6}, "shots must be 0 to 5, not 6"),
        ({"shots": -1}, "not -1"),
        ({"labels": ("A",)}, "At least 2 labels"),
        ({"labels": ("A", " B")}, "without blanks around it, not ' B'"),
        ({"labels": ("A", "")}, "not ''"),
        ({"labels": ("A", "A")}, "not all different"),
        ({"labels": ("A", "B\x00C")}, "holds a control character"),
        ({"labels": ("A", "\ud800")}, "holds a control character"),
    ],
)
def test_what_is_not_usable_is_told(fields: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        PromptSpec(**fields)  # type: ignore[arg-type]


def test_json_both_ways() -> None:
    spec = PromptSpec("chat", ("1", "2"), 3, "knowledge")
    assert PromptSpec.from_json(spec.to_json()) == spec
    assert PromptSpec.from_json({}) == PromptSpec()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("paper", "prompt must be an object"),
        ({"letters": []}, "prompt has no field 'letters'"),
        ({"labels": "AB"}, "prompt.labels must be a list"),
        ({"labels": [1, 2]}, "prompt.labels must be a list"),
        ({"shots": True}, "prompt.shots must be a whole number"),
        ({"template": None}, "prompt.template must be a text"),
        ({"shots_from": 1}, "prompt.shots_from must be a text"),
    ],
)
def test_json_of_another_form_is_refused(data: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        PromptSpec.from_json(data)


def test_positions_of_a_role_are_in_order() -> None:
    roles = ("prelude", "label 1", "label 11", "label 1", "final")
    prompt = Prompt("", (0,) * 5, ("",) * 5, roles, ("A", "B"), (0, 1), None)
    assert prompt.positions("label 1") == (1, 3)
    assert prompt.positions("stem") == ()
