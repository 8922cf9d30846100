"""A key holds what decides a number, once in whatever words, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some

from backend.analyses import ANALYSES, Task, analysis_named
from backend.analyses.circuit.schema import Node
from backend.analyses.fetch import fetch
from backend.analyses.lens.schema import StreamPatches
from backend.analyses.patching.schema import PATCHING
from backend.analyses.sufficiency.schema import Nodes
from backend.contract import kinds
from backend.contract.errors import Cancelled, LetterheadsError
from backend.contract.kinds import Kind
from backend.contract.param import Fields, Param, Variants
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.results.store import Store
from backend.service.keys import job_key, store_key
from tests import hand_wired
from tests.backend.analyses.test_values import QUESTION, asked

BANK: dict[str, Any] = {"question": None, "questions": {"bank": "copy-colors", "limit": 4}}


def key(name: str, params: dict[str, Any], **fields: Any) -> str:
    return store_key(fetch(asked(name, params, **fields)), "model")


SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("attribution", {"head": [16, 7]}, {"head": "l16h7"}),
    ("patching", {}, {"component": "z", "direction": "denoise", "positions": "all"}),
    ("patching", {}, {"corruption": {"kind": "swap_options", "seed": 0, "draws": 1}}),
    ("patching", {}, {"corruption": {"kind": "swap_options", "label": "B"}}),  # the right one
    ("patching", {}, {"metric": {"kind": "net_logit"}}),
    ("patching", {}, {"metric": {"kind": "net_logit", "label": "B"}}),  # the right one
    ("patching", {}, {"budget": {"seconds": 5}}),
    ("patching", {"budget": {"megabytes": 7}}, {"budget": {}}),
    ("patching", {"positions": [3, 3, 1]}, {"positions": [3, 1]}),
    (
        "effects",
        {"corruption": {"kind": "question", "question": QUESTION}},
        {"corruption": {"kind": "question", "question": QUESTION, "bank": "copy-facts", "seed": 3}},
    ),
    ("attribution_patching", {"verify": {}}, {"verify": {"top": 20, "positions": "all"}, "budget": {}}),
    ("compression", {"ranks": [4, 0, 2, 2]}, {"ranks": [0, 2, 4]}),
    ("compression", {}, {"rank": 3, "at": "label", "keep": "all", "seed": 0}),
    ("key-steering", {}, {"strengths": [-4, -3, -2, -1, 0, 1, 2, 3, 4]}),
    ("key-steering", {"strengths": [1.0, -0.0]}, {"strengths": [0, 1]}),
    ("readings", {}, {"patched": 3}),
]
OTHER: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("attribution", {}, {"head": [16, 7]}),
    ("attribution", {"head": [16, 7]}, {"head": [16, 8]}),
    ("patching", {"positions": [3, 1]}, {"positions": [1, 3]}),  # the order of an axis
    ("patching", {}, {"metric": {"kind": "net_logit", "label": "A"}}),
    ("patching", {}, {"corruption": {"kind": "swap_options", "seed": 1}}),
    ("patching", {}, {"corruption": {"kind": "swap_options", "label": "A"}}),
    ("patching", {}, {"corruption": {"kind": "swap_options", "draws": 2}}),
    ("attribution_patching", {}, {"verify": {}}),
    ("subspace", {}, {"stacked": True}),
]


@pytest.mark.parametrize(("name", "one", "other"), SAME)
def test_other_words_for_the_same_request(name: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(name, one) == key(name, other)


@pytest.mark.parametrize(("name", "one", "other"), OTHER)
def test_other_requests(name: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(name, one) != key(name, other)


def test_one_head_in_a_list_is_that_head() -> None:
    head, heads = (
        Request.from_json({"analysis": "mutations", "questions": [QUESTION] * 4, "params": params})
        for params in ({"head": [1, 2]}, {"heads": ["L1H2"]})
    )
    assert store_key(fetch(head), "model") == store_key(fetch(heads), "model")


def test_of_the_prompt_only_what_is_shown_decides() -> None:
    usual = key("prediction", {})
    assert usual == key("prediction", {}, prompt={"labels": ["A", "B", "C"], "shots_from": "copy-facts"})
    assert usual == key("prediction", {}, prompt={"labels": ["A", "B", "C", "K"]})
    assert usual != key("prediction", {}, prompt={"labels": ["A", "B", "D"]})
    assert usual != key("prediction", {}, prompt={"template": "plain"})
    assert key("self-check", {}) == key("self-check", {}, prompt={"template": "chat"})
    shown, other = ({"shots": 2, "shots_from": bank} for bank in ("knowledge", "copy-facts"))
    assert key("prediction", {}, prompt={"shots": 2}) == key("prediction", {}, prompt=shown)
    assert key("prediction", {}, prompt=shown) != key("prediction", {}, prompt=other)
    # A solved question with more options than the one that is asked shows more labels.
    few = {**QUESTION, "options": ["red", "black"]}
    one, two = ({"shots": 1, "labels": ["A", "B", "C", label]} for label in "DK")
    assert key("prediction", {}, question=few, prompt=one) != key("prediction", {}, question=few, prompt=two)


def test_labels_stay_while_it_is_not_known_which_are_shown() -> None:
    """Solved questions may show more of them than the one that is asked."""
    shot = asked("prediction", {}, prompt={"shots": 1})
    of_a_bank = asked("effects", {}, **BANK)
    for request in (shot, of_a_bank):
        canonical = analysis_named(request.analysis).canonical(request)
        assert canonical.prompt.labels == request.prompt.labels
    assert len(analysis_named("prediction").canonical(asked("prediction", {})).prompt.labels) == 3


def test_which_questions_are_drawn_decides_and_not_the_seed_of_a_whole_bank() -> None:
    def drawn(**questions: Any) -> str:
        return key("attention", {}, question=None, questions={"bank": "copy-colors", **questions})

    assert drawn(seed=1) == drawn(seed=2) != drawn(limit=4)
    assert drawn(limit=4, seed=1) != drawn(limit=4, seed=2)
    request = asked("attention", {}, question=None, questions={"bank": "copy-colors", "seed": 3})
    assert analysis_named("attention").canonical(request).to_json()["questions"]["seed"] == 0


def test_the_versions_that_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, job = key("attention", {}), job_key(fetch(asked("attention", {})))
    monkeypatch.setattr("backend.__version__", "9")
    assert (key("attention", {}), job_key(fetch(asked("attention", {})))) == (usual, job)
    monkeypatch.setitem(ANALYSES, "attention", replace(ANALYSES["attention"], version=99))
    assert key("attention", {}) != usual
    assert store_key(fetch(asked("attention", {})), "other model") != key("attention", {})


def test_jobs_join_where_they_are_the_same_and_would_be_refused_alike() -> None:
    def job(params: dict[str, Any], **fields: Any) -> str:
        return job_key(fetch(asked("patching", params, **fields)))

    assert job({}) == job({"component": "z", "budget": {"seconds": 3600}})
    assert job({}) != job({"budget": {"seconds": 5}})
    assert job({}) != job({}, model={"name": "qwen2.5-coder-0.5b"})


def test_a_cancelled_sweep_goes_on_with_a_larger_budget(
    hand_wired_instrument: Instrument, tmp_path: Path
) -> None:
    def task_within(seconds: float) -> Task:
        budget = {"budget": {"seconds": seconds}}
        question = hand_wired.question(0)
        request = Request.build("patching", question=question, prompt=hand_wired.SPEC, params=budget)
        return fetch(request)

    store, swept = Store(tmp_path), []

    def stop_at_the_end(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Re-checking"):
            raise Cancelled("stop")

    def count(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Patching") and done < total:
            swept.append(message)

    first, second = task_within(600), task_within(900)
    checkpoint = store.checkpoint(store_key(first, "model"))
    with pytest.raises(Cancelled):
        PATCHING.run(hand_wired_instrument, replace(first, checkpoint=checkpoint), stop_at_the_end)
    again = store.checkpoint(store_key(second, "model"))
    found = PATCHING.run(hand_wired_instrument, replace(second, checkpoint=again), count)
    assert not swept
    PATCHING.run(hand_wired_instrument, second, count)
    assert swept
    assert not np.isnan(found.arrays["values"].values).all()


def values_of(kind: Kind) -> some.SearchStrategy[Any]:
    """Values that a kind takes."""
    match kind:
        case kinds.Whole(low, high):
            return some.integers(-5 if low is None else low, 30 if high is None else min(high, 30))
        case kinds.Number(low, high):
            return some.floats(low + 0.5, min(high, 50)) | some.integers(int(low) + 1, 9)
        case kinds.TrueFalse():
            return some.booleans()
        case kinds.Word(words):
            return some.sampled_from(words)
        case kinds.BankName():
            return some.sampled_from(["knowledge", "copy-facts"])
        case kinds.Label():
            return some.sampled_from("ABC")
        case kinds.Text():
            return some.text(min_size=1, max_size=5)
        case kinds.OneQuestion():
            return some.sampled_from([QUESTION, {**QUESTION, "answer": 2}])
        case kinds.Head():
            return some.sampled_from([[1, 2], "L1H2", [0, 3], "l0h3"])
        case kinds.Heads():
            return some.lists(
                some.sampled_from([(1, 2), (0, 3), (2, 1)]), min_size=1, max_size=3, unique=True
            ).map(lambda heads: [list(head) for head in heads])
        case kinds.Numbers(_, each, most):
            return some.lists(values_of(each), min_size=1, max_size=min(most or 4, 4))
        case kinds.Positions(listed):
            named: some.SearchStrategy[Any] = some.sampled_from(["all", "final"])
            return named | some.lists(some.integers(0, 5), min_size=1, max_size=3) if listed else named
        case Fields(fields):
            return some_of(fields)
        case Variants(_, variants):
            return some.one_of(
                [
                    some.tuples(some.just({"kind": variant.name}), some_of(variant.fields)).map(
                        lambda both: {**both[0], **both[1]}
                    )
                    for variant in variants.values()
                ]
            )
        case Node():
            return some.sampled_from([{"head": [1, 2]}, {"head": "L1H2"}, {"mlp": 1}, {"embedding": True}])
        case Nodes():
            return some.lists(some.sampled_from(["L1H2", "l0h3", {"mlp": 1}]), min_size=1, max_size=3)
        case StreamPatches():
            patch = {"layers": [0, 1], "positions": [3, 3]}
            blocks = [{"from": run, **patch} for run in ("clean", "corrupted")]
            return some.lists(some.sampled_from(blocks), max_size=3)
    raise NotImplementedError(kind)


def some_of(params: tuple[Param, ...]) -> some.SearchStrategy[dict[str, Any]]:
    """Some of the parameters, with values that each takes alone."""
    return some.fixed_dictionaries({}, optional={param.name: values_of(param.kind) for param in params})


WITH_PARAMS = sorted(name for name in ANALYSES if ANALYSES[name].params and ANALYSES[name].stored)
INSTEAD_OF = {"heads": "head", "sender": "receiver"}


@pytest.mark.sampled
@pytest.mark.parametrize("name", WITH_PARAMS)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=some.data())
def test_a_request_and_its_canonical_form_are_one(name: str, data: some.DataObject) -> None:
    params = data.draw(some_of(ANALYSES[name].params))
    about = data.draw(
        some.sampled_from([{}, BANK] if {"question", "questions"} <= {*ANALYSES[name].takes} else [{}])
    )
    prompt = data.draw(some.sampled_from([{}, {"shots": 1}, {"labels": list("ABCDXY"), "shots": 2}]))
    request = asked(name, params, **about, prompt=prompt)
    try:
        task = fetch(request)
    except LetterheadsError:
        assume(False)
    shots = [question for each in task.shots for question in each]
    canonical = ANALYSES[name].canonical(request, [*task.questions, *shots])
    again = fetch(canonical)
    assert again.questions == task.questions
    assert again.shots == task.shots
    assert store_key(again, "model") == store_key(task, "model")
    assert ANALYSES[name].canonical(canonical, [*task.questions, *shots]) == canonical
    assert Request.from_json(json.loads(canonical.canonical())) == canonical


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "param"), [(name, param) for name in WITH_PARAMS for param in ANALYSES[name].params]
)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=some.data())
def test_a_changed_value_changes_the_key_where_it_decides(
    name: str, param: Param, data: some.DataObject
) -> None:
    left_out = INSTEAD_OF.get(param.name, "")
    one, other = (asked(name, {param.name: data.draw(values_of(param.kind))}, left_out) for _ in range(2))
    try:
        values = [ANALYSES[name].values(request) for request in (one, other)]
    except LetterheadsError:
        assume(False)
    same = store_key(fetch(one), "model") == store_key(fetch(other), "model")
    assert same == (not param.decides or values[0] == values[1])
