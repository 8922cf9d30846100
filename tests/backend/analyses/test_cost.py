"""What an analysis is said to cost: counts by hand and against what is really run, and refusals."""

import pytest

from backend.analyses import ANALYSES, PATCHING_COST, Findings, Task
from backend.analyses.cost import (
    COST,
    PRICED,
    Asked,
    Machine,
    Work,
    cones,
    curve,
    machine_of,
    one_pass,
    trace_bytes,
)
from backend.engine.instrument import Instrument
from backend.engine.sweep import all_cells, cost_of, each_alone, estimate, run_source
from backend.errors import RequestError
from backend.progress import silent
from backend.questions.prompt import PromptSpec
from backend.results.request import Request
from tests import hand_wired, tiny

PAIR = {"corruption": {"kind": "shuffle_labels"}}


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def asked_cost(instrument: Instrument, count: int = 1, **params: object) -> Findings:
    questions = tuple(hand_wired.question(number % 4) for number in range(count))
    given = {"questions": questions} if count > 1 else {"question": questions[0]}
    request = Request.build("cost", prompt=PromptSpec(template="plain"), params=params, **given)
    return COST.run(instrument, Task(request, questions, ((),) * count), silent)


def test_every_analysis_has_a_formula() -> None:
    assert PRICED.keys() == ANALYSES.keys() - {COST.name, PATCHING_COST.name}


def test_a_pass_by_hand(instrument: Instrument) -> None:
    # d_model 48, MLP 64, 4 heads and 2 kv heads of 12, 3 layers, 320 tokens known.
    row, unembedding = 48 * 48 + 2 * 48 * 24 + 48 * 48 + 3 * 48 * 64, 320 * 48
    found = one_pass(cost_of(instrument), 10)
    assert found.products == 3 * (10 * row + 2 * 100 * 48) + unembedding
    assert found.weights == 3 * row + unembedding
    assert found.calls == 3


def test_a_trace_takes_what_is_told(family_instrument: Instrument) -> None:
    trace = family_instrument.trace(tuple(range(20)))
    ends = sum(part.nbytes for part in (trace.resid_final, trace.unembedded, trace.logits))
    assert trace_bytes(cost_of(family_instrument), 20) == trace.nbytes - ends


@pytest.mark.parametrize("component", ["z", "v", "mlp_out"])
def test_cones_are_those_of_the_sweep(instrument: Instrument, component: str) -> None:
    base, source = tuple(range(12)), tuple(range(20, 32))
    cells = all_cells(component, instrument.shape, range(5, 12))
    swept = estimate(
        instrument, base, run_source(instrument, base, source), each_alone(component, cells), 10**9
    )
    found = cones(cost_of(instrument), 12, component, range(5, 12))
    own_layer_only = 0  # in the last layer what no later row reads is not run: its output projection and MLP
    if component != "v":
        cost = cost_of(instrument)
        left_out = instrument.shape.heads if component == "z" else 1
        own_layer_only = 2 * 6 * left_out * (cost.row - 2 * 48 * 24 - 48 * 48)
    assert 2 * found.products == pytest.approx(swept.flops + own_layer_only)


def test_a_machine_is_half_as_fast_at_half_its_rows() -> None:
    machine = Machine(peak=1e9, half=20, copy=1e8, call=0.5)
    weights = 1000
    assert machine.seconds(Work(20 * weights, weights)) == pytest.approx(2 * 20 * weights / 0.5e9)
    assert machine.seconds(Work(moved=3e8, calls=2)) == pytest.approx(4)
    assert (Work(1, 2, 3, 4, 5) + Work(1, held=9)) * 2 == Work(4, 4, 6, 8, 9)


def test_the_curve_is_found_again() -> None:
    rows = (1, 8, 64, 512)
    assert curve(rows, [(count + 20) / 5e9 for count in rows]) == pytest.approx((5e9, 20))
    assert curve(rows, [count / 5e9 for count in rows])[1] == pytest.approx(0, abs=1e-6)


def test_this_machine_is_measured_once(instrument: Instrument) -> None:
    found = machine_of(instrument)
    assert 1e6 < found.peak < 1e16
    assert 0 <= found.half < 1e5
    assert found.copy > 1e6
    assert machine_of(instrument) is found


@pytest.mark.parametrize(
    ("analysis", "less", "more"),
    [
        ("effects", {}, {"corruption": {"kind": "question", "draws": 3}}),
        ("attribution_patching", {}, {"grad_drop": True}),
        ("attribution_patching", {}, {"verify": {}}),
        ("patching", {"positions": "final"}, {"positions": "all"}),
        ("patching", {"component": "mlp_out"}, {"component": "z"}),
        ("prediction", {}, {}),
        ("compression", {}, {"heads": [[1, 0], [1, 2]]}),
        ("mutations", {}, {"heads": [[1, 0], [1, 2]]}),
        ("key-steering", {"strengths": [1]}, {"strengths": 3}),
    ],
)
def test_who_asks_for_more_pays_more(
    instrument: Instrument, analysis: str, less: dict[str, object], more: dict[str, object]
) -> None:
    machine, cost, formula = Machine(1e11, 10, 1e10), cost_of(instrument), PRICED[analysis].formula
    small, large = formula(cost, Asked(20, 4, params=less)), formula(cost, Asked(25, 4, params=more))
    assert machine.seconds(large) > machine.seconds(small) > 0
    assert large.held >= small.held > 0


@pytest.mark.parametrize("analysis", [name for name in PRICED if "question" in PRICED[name].analysis.takes])
def test_a_request_is_told_its_seconds_and_bytes(instrument: Instrument, analysis: str) -> None:
    found = asked_cost(instrument, analysis=analysis, params=PAIR if analysis == "patching" else {})
    assert 0 < found.scalars["seconds"] < 60
    assert found.scalars["bytes"] > 0


def test_a_patching_request_costs_what_its_own_estimate_says(instrument: Instrument) -> None:
    found = asked_cost(instrument, analysis="patching", params=PAIR).scalars
    request = Request.build(
        "patching-cost", question=hand_wired.question(0), prompt=PromptSpec(template="plain"), params=PAIR
    )
    own = PATCHING_COST.run(instrument, Task(request, (hand_wired.question(0),), ((),)), silent).scalars
    assert found["seconds"] == pytest.approx(own["seconds"])
    assert found["bytes"] == pytest.approx(own["bytes"], rel=0.2)  # of the memory that is free at the time


def test_many_questions_cost_many_times_one(instrument: Instrument) -> None:
    one = asked_cost(instrument, analysis="attention").scalars["seconds"]
    many = asked_cost(instrument, 8, analysis="attention").scalars["seconds"]
    assert 4 * one < many < 9 * one


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "params.analysis must be one of prediction, .*, not None"),
        ({"analysis": "cost"}, "not 'cost'"),
        ({"analysis": "effects", "params": [1]}, "params.params must be an object"),
        ({"analysis": "effects", "params": {"x": 1}}, "effects has no parameter 'x'"),
        ({"analysis": "check-model"}, "takes questions; this request carries question"),
    ],
)
def test_what_cannot_be_told_is_refused(
    instrument: Instrument, params: dict[str, object], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        asked_cost(instrument, **params)
