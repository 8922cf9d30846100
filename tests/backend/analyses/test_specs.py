"""Every analysis gives the arrays, scalars and check figures that it declares, and no others."""

from dataclasses import replace
from typing import Any

import pytest

from backend.analyses import ANALYSES, Task
from backend.contract.components import COMPONENTS
from backend.contract.metrics import METRICS
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.contract.spec import ArraySpec, By, ScalarSpec
from backend.engine.instrument import Instrument
from tests import hand_wired, tiny
from tests.backend.analyses.subspace.test_subspace import questions
from tests.specs import differences

TWO_TOGETHER = {"heads": [[1, 2], [2, 1]]}
RANDOM = {"kind": "random_letters", "draws": 2}
OF_ONE: list[tuple[str, dict[str, Any]]] = [
    ("prediction", {}),
    ("lens", {}),
    ("lens", {"top": 2, "positions": "final"}),
    ("lens", {"corruption": {"kind": "random_letters"}}),
    ("patched-lens", {}),
    ("patched-lens", {"patches": [{"from": "clean", "layers": [0, 1], "positions": [20, 30]}]}),
    ("attribution", {}),
    ("attribution", {"head": [1, 2]}),
    ("attention", {}),
    ("attention", {"head": "L1H2"}),
    *(("patching", {"component": component, "positions": "final"}) for component in COMPONENTS),
    *(
        ("patching", {"metric": {"kind": kind}, "positions": "final"})
        for kind, metric in METRICS.items()
        if not metric.one_question_only
    ),
    (
        "patching",
        {"corruption": RANDOM, "metric": {"kind": "logit_difference", "other": "D"}, "positions": "final"},
    ),
    ("attribution_patching", {}),
    ("attribution_patching", {"grad_drop": True, "corruption": RANDOM, "metric": {"kind": "loss"}}),
    ("attribution_patching", {"verify": {"top": 3, "random": 2}}),
    ("possible-corruptions", {}),
    ("possible-corruptions", {"label": "C"}),
    ("effects", {}),
    ("effects", {"corruption": RANDOM, "metric": {"kind": "probability"}}),
    ("joint-patching", {"heads": [[1, 2], [0, 1]]}),
    ("joint-patching", {"heads": [[1, 2]], "alone": True, "random": 2, "metric": {"kind": "loss"}}),
    ("turn", {"head": [1, 2]}),
    ("paths", {"receiver": {"head": [1, 2]}}),
    ("paths", {"receiver": {"mlp": 1}, "metric": {"kind": "loss"}}),
    ("paths", {"sender": {"head": [0, 1]}}),
    ("paths", {"sender": {"embedding": True}}),
    ("cost", {"analysis": "effects"}),
]
OF_SEVERAL: list[tuple[str, dict[str, Any]]] = [
    ("attribution", {}),
    ("attention", {}),
    ("effects", {}),
    ("effects", {"metric": {"kind": "loss"}}),
    ("heads", {}),
    ("heads", {"effects": False}),
    ("patching", {"component": "z", "positions": "final"}),
    ("patching", {"component": "k", "metric": {"kind": "loss"}}),
    ("sufficiency", {"random": 2, "sizes": [1, 3]}),
    ("sufficiency", {"nodes": ["L1H2"], "random": 1, "metric": {"kind": "loss"}, "replacement": "mean"}),
    ("subspace", {"head": [1, 2]}),
    ("subspace", {"head": [1, 2], "rotated": True, "stacked": True}),
    ("compression", {"head": [1, 2], "ranks": [0, 3]}),
    ("compression", {**TWO_TOGETHER, "ranks": [2]}),
    ("mutations", {"head": [1, 2]}),
    ("swap-test", {"head": [1, 2]}),
    ("key-steering", {"head": [1, 2], "strengths": [0, 1]}),
    ("check-model", {}),
    ("readings", {}),
    ("readings", {"patched": 0}),
    ("cost", {"analysis": "readings"}),
]


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def unmet(instrument: Instrument, request: Request) -> list[str]:
    one = () if request.question is None else (request.question,)
    asked = request.questions if isinstance(request.questions, tuple) else one
    found = ANALYSES[request.analysis].run(instrument, Task(request, asked, ((),) * len(asked)), silent)
    return differences(request, found.arrays, found.scalars, found.checks)


@pytest.mark.parametrize(("name", "params"), OF_ONE)
def test_of_one_question(instrument: Instrument, name: str, params: dict[str, Any]) -> None:
    spec = PromptSpec(template="plain")
    question = hand_wired.question(1)
    request = Request.build(
        name, question=question, prompt=spec, params={"corruption": {"kind": "shuffle_labels"}, **params}
    )
    if "corruption" not in [param.name for param in ANALYSES[name].params]:
        request = Request.build(name, question=question, prompt=spec, params=params)
    assert unmet(instrument, request) == []
    unanswered = replace(request, question=replace(question, answer=None))
    assert unmet(instrument, unanswered) == []


@pytest.mark.parametrize(
    ("name", "params"),
    [*OF_SEVERAL, pytest.param("mutations", TWO_TOGETHER, marks=pytest.mark.slow)],
)
def test_of_several_questions(instrument: Instrument, name: str, params: dict[str, Any]) -> None:
    if name in ("effects", "patching", "sufficiency"):
        params = {"corruption": {"kind": "shuffle_labels"}, **params}
    spec = PromptSpec(template="plain")
    assert unmet(instrument, Request.build(name, questions=questions(12), prompt=spec, params=params)) == []


def test_of_a_model_alone(instrument: Instrument) -> None:
    assert unmet(instrument, Request.build("self-check")) == []


@pytest.mark.parametrize("family", ["mixtral", "qwen2_moe", "stablelm parallel"])
def test_of_models_with_experts_or_without_a_middle(family: str) -> None:
    other = Instrument(tiny.loaded(tiny.tiny_model(family), tiny.tokenizer(), family))
    asked: dict[str, Any] = {"question": hand_wired.question(1), "prompt": PromptSpec(template="plain")}
    assert unmet(other, Request.build("attribution", **asked)) == []
    estimated = {"corruption": {"kind": "shuffle_labels"}, "grad_drop": True}
    assert unmet(other, Request.build("attribution_patching", **asked, params=estimated)) == []


def test_everything_that_is_declared_is_seen_above() -> None:
    assert {name for name, _ in (*OF_ONE, *OF_SEVERAL)} | {"self-check"} == {*ANALYSES}


@pytest.mark.parametrize("name", sorted(ANALYSES))
def test_declarations_say_something(name: str) -> None:
    analysis = ANALYSES[name]
    assert len({param.name for param in analysis.params}) == len(analysis.params)
    for param in analysis.params:
        assert param.help
        assert param.kind.says
    specs: list[ArraySpec | ScalarSpec] = [*analysis.arrays, *analysis.scalars]
    for spec in specs:
        assert spec.meaning
        assert spec.names
    for array in analysis.arrays:
        assert isinstance(array.unit, By) or array.unit
    assert len({check.name for check in analysis.checks}) == len(analysis.checks)
    assert all(check.meaning for check in analysis.checks)


def test_a_check_figure_that_is_not_declared_or_has_another_limit_is_seen(instrument: Instrument) -> None:
    request = Request.build("prediction", question=hand_wired.question(1))
    found = ANALYSES["prediction"].run(instrument, Task(request, (hand_wired.question(1),), ((),)), silent)
    given = (request, found.arrays, found.scalars)
    assert differences(*given, found.checks) == []
    assert differences(*given, {}) == ["no check lens_error"]
    assert differences(*given, {"lens_error": (0.0, 0.5)}) == [
        "lens_error has the limit 0.5, declared 0.0001"
    ]
    assert differences(*given, {**found.checks, "more": (0.0, 1.0)}) == ["check more is not declared"]
