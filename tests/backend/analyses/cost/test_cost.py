"""What a request is said to take, and refusals."""

from typing import Any

import pytest

from backend.analyses import ANALYSES, Findings, Task
from backend.contract.errors import RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired, tiny

PAIR = {"corruption": {"kind": "shuffle_labels"}}
GIVEN = {
    "patching": PAIR,
    "paths": {"receiver": {"head": [1, 0]}},
    "joint-patching": {**PAIR, "heads": [[1, 0]]},
    "turn": {"head": [1, 0]},
}


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def asked_cost(instrument: Instrument, count: int = 1, **params: object) -> Findings:
    questions = tuple(hand_wired.question(number % 4) for number in range(count))
    given = {"questions": questions} if count > 1 else {"question": questions[0]}
    request = Request.build("cost", prompt=PromptSpec(template="plain"), params=params, **given)
    ANALYSES["cost"].check(request)
    return ANALYSES["cost"].run(instrument, Task(request, questions, ((),) * count), silent)


@pytest.mark.parametrize(
    "analysis", [name for name, one in ANALYSES.items() if one.cost and "question" in one.takes]
)
def test_a_request_is_told_its_seconds_and_bytes(instrument: Instrument, analysis: str) -> None:
    found = asked_cost(instrument, analysis=analysis, params=GIVEN.get(analysis, {}))
    assert 0 < found.scalars["expected_seconds"] < 60
    assert found.scalars["expected_bytes"] > 0


def test_many_questions_cost_many_times_one(instrument: Instrument) -> None:
    one = asked_cost(instrument, analysis="attention").scalars["expected_seconds"]
    many = asked_cost(instrument, 8, analysis="attention").scalars["expected_seconds"]
    assert 4 * one < many < 9 * one


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "params needs analysis: one of prediction, .*self-check"),
        ({"analysis": "cost"}, "not 'cost'"),
        ({"analysis": ["x"]}, r"not \['x'\]"),
        (
            {"analysis": "attribution_patching", "params": {"verify": {"top": 10**400}}},
            "params.params asks for more than can be counted",
        ),
        ({"analysis": "effects", "params": [1]}, "params.params must be an object"),
        ({"analysis": "effects", "params": {"x": 1}}, "effects has no parameter 'x'"),
        ({"analysis": "patching", "params": {"component": "zz"}}, "component must be one of"),
        ({"analysis": "check-model"}, "takes questions; this request carries question"),
    ],
)
def test_what_cannot_be_told_is_refused(instrument: Instrument, params: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        asked_cost(instrument, **params)
