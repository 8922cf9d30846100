"""Requests survive JSON both ways; what cannot be understood is refused with its field and value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.contract.errors import LetterheadsError, RequestError
from backend.contract.head import HeadRef
from backend.contract.model import ModelSpec
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import QuestionSet, Request

README_REQUEST = {
    "analysis": "attribution",
    "model": {"name": "qwen2.5-coder-0.5b", "dtype": "float32", "quantization": "none", "device": "auto"},
    "question": {
        "subject": "colors",
        "stem": "What color is a raven?",
        "options": ["red", "black", "white", "green"],
        "answer": 1,
    },
    "prompt": {"template": "paper", "labels": ["A", "B", "C", "D"], "shots": 0},
    "params": {},
}

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20
).filter(lambda text: text.strip())
questions = st.builds(
    Question,
    stem=texts,
    options=st.lists(texts, min_size=2, max_size=10, unique_by=str.strip).map(tuple),
    answer=st.one_of(st.none(), st.just(0), st.just(1)),
    subject=texts,
)


def test_the_documented_request_is_understood() -> None:
    request = Request.from_json(README_REQUEST)
    assert request.question == Question(
        "What color is a raven?", ("red", "black", "white", "green"), 1, "colors"
    )
    assert request.model == ModelSpec("qwen2.5-coder-0.5b", "float32")
    assert request.prompt == PromptSpec(labels=("A", "B", "C", "D"))


@given(questions, st.dictionaries(texts, st.one_of(st.integers(), texts, st.booleans())))
def test_json_both_ways(question: Question, params: dict[str, object]) -> None:
    request = Request.build("attention", question=question, params=params)
    again = Request.from_json(json.loads(request.canonical()))
    assert again == request
    assert hash(again) == hash(request)
    assert again.canonical() == request.canonical()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
fields = st.dictionaries(
    st.sampled_from([*README_REQUEST, "questions", "nonsense"]),
    st.one_of(json_values, st.sampled_from(list(README_REQUEST.values()))),
)


@given(st.one_of(json_values, fields))
def test_anything_is_understood_or_refused_in_words(data: object) -> None:
    try:
        Request.from_json(data)
    except LetterheadsError as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"analysis": 3}, "analysis must be"),
        ({"model": {"dtype": "float8"}}, "model.dtype must be one of .* not 'float8'"),
        ({"model": {"nme": "x"}}, "model has no field 'nme'"),
        ({"prompt": {"shots": 9}}, "shots must be 0 to 5, not 9"),
        ({"prompt": {"template": "x"}}, "no template 'x'"),
        ({"prompt": {"labels": ["A", "A"]}}, "not all different"),
        ({"params": []}, "params must be an object"),
        ({"questions": {"bank": "knowledge"}}, "either question or questions"),
        ({"question": None, "questions": []}, "empty list"),
        ({"question": None, "questions": {"bank": "b", "limit": 0}}, "limit must be at least 1"),
    ],
)
def test_refusals_name_the_field_and_the_value(change: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Request.from_json({**README_REQUEST, **change})


def test_what_json_cannot_write_is_refused() -> None:
    nested: list[object] = []
    for _ in range(10**5):
        nested = [nested]
    for value in (float("nan"), float("inf"), {1, 2}, 10**5000, nested):
        with pytest.raises(RequestError, match="JSON cannot carry"):
            Request.build("attention", params={"head": value})


@given(st.integers(0, 999), st.integers(0, 999))
def test_heads_are_printed_and_read_alike(layer: int, head: int) -> None:
    reference = HeadRef(layer, head)
    assert HeadRef.parse(str(reference)) == HeadRef.parse(str(reference).lower()) == reference
    assert HeadRef.from_json([layer, head]) == reference


@pytest.mark.parametrize(
    "text", ["", "L1", "H1L2", "L-1H2", "L1H2x", "16,7", "LH", "L١H٢", f"L{'9' * 5000}H1"]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="written like L16H7"):
        HeadRef.parse(text)


@pytest.mark.parametrize("data", [[1], [1, -2], [1, True], [1.0, 2], None, {"layer": 1}])
def test_what_is_no_pair_is_refused(data: object) -> None:
    with pytest.raises(RequestError):
        HeadRef.from_json(data)


def test_sets_of_questions() -> None:
    request = Request.from_json({"analysis": "attention", "questions": {"bank": "copy-colors", "limit": 60}})
    assert request.questions == QuestionSet("copy-colors", 60, 0, 2)
