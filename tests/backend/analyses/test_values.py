"""Whatever is wrong with a request, and needs no model to see, is refused before one is loaded."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from backend.analyses import ANALYSES, analysis_named
from backend.analyses.fetch import fetch
from backend.contract.errors import LetterheadsError
from backend.contract.request import Request

QUESTION = {"subject": "colors", "stem": "Which?", "options": ["red", "black", "white"], "answer": 1}
PAIR = ("patching", "effects", "paths", "attribution_patching", "joint-patching")
SUFFICIENCY = ("sufficiency",)
PATCH = {"from": "clean", "layers": [0, 1], "positions": [3, 3]}
SWEPT = ("patching",)
OF_A_HEAD = ("subspace", "compression", "mutations", "swap-test", "key-steering")
OF_HEADS = ("compression", "mutations")
FITTED = ("subspace", "compression", "mutations")
NEEDED: dict[str, dict[str, Any]] = {
    **{name: {"head": [1, 2]} for name in OF_A_HEAD},
    "paths": {"receiver": {"mlp": 1}},
    "joint-patching": {"heads": [[1, 2]]},
    "turn": {"head": [1, 2]},
    "cost": {"analysis": "effects"},
}


def asked(name: str, params: dict[str, Any], left_out: str = "", **fields: Any) -> Request:
    """A request of an analysis with what it needs, less what is left out, and these parameters."""
    needed = {key: value for key, value in NEEDED.get(name, {}).items() if key != left_out}
    takes = analysis_named(name).takes
    about: dict[str, Any] = {}
    if "question" in takes:
        about = {"question": QUESTION}
    elif "questions" in takes:
        about = {"questions": [QUESTION] * 2}
    return Request.from_json({"analysis": name, **about, "params": {**needed, **params}, **fields})


WRONG: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
    (PAIR, {"corruption": 3}, "params.corruption must be an object with a kind, not 3"),
    (
        PAIR,
        {"corruption": {"kind": "noise"}},
        "no corruption 'noise'. Choose one of swap_options, shuffle_labels",
    ),
    (PAIR, {"corruption": {"kind": ["text"]}}, "no corruption"),
    (PAIR, {"corruption": {"kind": "swap_options", "bank": "x"}}, "swap_options has no field 'bank'"),
    (PAIR, {"corruption": {"kind": "swap_options", "seed": 1.5}}, "corruption.seed must be a whole number"),
    (PAIR, {"corruption": {"kind": "question", "draws": 21}}, "draws must be a whole number from 1 to 20"),
    (PAIR, {"corruption": {"kind": "question", "bank": "nowhere"}}, "There is no bank 'nowhere'"),
    (PAIR, {"corruption": {"kind": "question", "question": {"stem": "?"}}}, "options must be a list"),
    (
        PAIR,
        {"corruption": {"kind": "text"}},
        "params.corruption needs prompt: the whole corrupted prompt",
    ),
    (PAIR, {"corruption": {"kind": "text", "prompt": "x", "draws": 2}}, "nothing to draw 2 times"),
    (PAIR, {"metric": "loss"}, "params.metric must be an object with a kind"),
    (PAIR, {"metric": {"kind": "beauty"}}, "no metric 'beauty'"),
    (PAIR, {"metric": {"kind": "kl", "label": "A"}}, "The metric kl has no field 'label'"),
    # Three options have the labels A, B and C.
    (PAIR, {"metric": {"kind": "loss", "label": "D"}}, "must be one of the labels A, B, C, not 'D'"),
    (
        PAIR,
        {"metric": {"kind": "logit_difference"}},
        "params.metric needs other: one of the prompt's labels",
    ),
    (PAIR, {"metric": {"kind": "logit_difference", "other": "B"}}, "label and other are both 'B'"),
    (SWEPT, {"component": "neuron"}, "params.component must be one of z, .*, not 'neuron'"),
    (SWEPT, {"positions": "first"}, '"all", "final" or a list of positions, not'),
    (SWEPT, {"positions": []}, "or a list of positions"),
    (SWEPT, {"positions": [True]}, "or a list of positions"),
    (SWEPT, {"positions": [-1]}, "Position -1 is out of range"),
    ((*SWEPT, "attribution_patching"), {"direction": "up"}, "params.direction must be one of denoise, noise"),
    ((*SWEPT, "attribution_patching"), {"budget": []}, "params.budget must be an object with seconds and"),
    ((*SWEPT, "attribution_patching"), {"budget": {"seconds": 0}}, "budget.seconds must be a number above 0"),
    (("attribution_patching",), {"verify": True}, "params.verify must be an object with component, top"),
    (("attribution_patching",), {"verify": {"component": "x"}}, "verify.component must be one of"),
    (("attribution_patching",), {"verify": {"top": 0, "random": 0}}, "no cells"),
    (("attribution_patching",), {"metric": {"kind": "kl"}, "direction": "noise"}, "no slope"),
    (("attribution_patching",), {"qk_fix": 1}, "qk_fix must be true or false"),
    (("lens",), {"top": 11}, "params.top must be a whole number from 0 to 10, not 11"),
    (("lens",), {"positions": [-1]}, "Position -1 is out of range"),
    (
        ("lens", "patched-lens"),
        {"corruption": {"kind": "question", "draws": 2}},
        "one corrupted prompt, not 2",
    ),
    (("lens",), {"corruption": 3}, "params.corruption must be an object with a kind, not 3"),
    (("patched-lens",), {"patches": {}}, "params.patches must be a list of at most 32 blocks"),
    (("patched-lens",), {"patches": [PATCH] * 33}, "a list of at most 32 blocks"),
    (
        ("patched-lens",),
        {"patches": [{**PATCH, "from": "left"}]},
        "one of the runs clean, corrupted, not 'left'",
    ),
    (("patched-lens",), {"patches": [{**PATCH, "layers": [2, 1]}]}, "layers are a first and a last one"),
    (("patched-lens",), {"patches": [{**PATCH, "to": 1}]}, "A patch has no field 'to'"),
    (("patched-lens",), {"patches": ["x"]}, "A patch must be an object"),
    (("paths",), {"receiver": None}, "must be"),
    (("paths",), {"sender": {"mlp": 0}}, "either params.receiver or params.sender"),
    (("paths",), {"receiver": {"embedding": True}}, "The embedding receives nothing"),
    (("paths",), {"receiver": {"mlp": -1}}, "named by its layer"),
    (SUFFICIENCY, {"nodes": []}, "params.nodes must be a list of 1 to 4000 heads and MLPs"),
    (SUFFICIENCY, {"nodes": ["L1H2", {"head": [1, 2]}]}, "twice. Name each node once"),
    (SUFFICIENCY, {"nodes": [{"embedding": True}]}, "the embedding cannot be replaced"),
    (SUFFICIENCY, {"nodes": [{"mlp": -1}]}, "named by its layer"),
    (SUFFICIENCY, {"nodes": ["L1H2"], "sizes": [1]}, "leave params.sizes out"),
    (SUFFICIENCY, {"held_out": True}, "goes with params.nodes"),
    (SUFFICIENCY, {"sizes": [0]}, "A size is a whole number from 1 to 4000, not 0"),
    (SUFFICIENCY, {"share": 0}, "params.share must be a number above 0"),
    (SUFFICIENCY, {"corruption": {"kind": "question", "draws": 2}}, "one corrupted prompt a question, not 2"),
    (SUFFICIENCY, {"order": "attribution", "metric": {"kind": "loss"}}, "An attribution is in logits"),
    (SUFFICIENCY, {"replacement": "zero"}, "must be one of resample, mean, mean_by_letter"),
    (OF_A_HEAD, {"head": None}, "params.head must be"),
    (OF_A_HEAD, {"head": "16.7"}, "written like L16H7"),
    (OF_A_HEAD, {"keep": "wrong"}, "params.keep must be one of all, right"),
    (OF_A_HEAD, {"seed": -1}, "params.seed must be a whole number from 0"),
    (OF_HEADS, {"heads": [[1, 1]]}, "Give one of them"),
    (FITTED, {"rank": 0}, "params.rank must be a whole number, 1 or more, not 0"),
    (FITTED, {"at": "stem"}, "params.at must be one of label, bracket"),
    (("compression",), {"ranks": [-1]}, "A rank is a whole number, 0 or more, not -1"),
    (("compression",), {"ranks": [True]}, "A rank is a whole number, 0 or more, not True"),
    (("key-steering",), {"strengths": [101]}, "A strength is a number from -100 to 100, not 101"),
    (("turn",), {"to": "D"}, "params.to must be one of the labels A, B, C, not 'D'"),
    (("key-steering",), {"fitted_on": "some"}, "params.fitted_on must be one of same, all"),
    (("subspace",), {"stacked": 0}, "params.stacked must be true or false"),
    (("heads",), {"effects": 1}, "params.effects must be true or false"),
    (("heads",), {"metric": {"kind": "loss"}}, "heads has no parameter 'metric'"),
    (("readings",), {"patched": -1}, "params.patched must be a whole number"),
    (("attribution", "attention"), {"head": [1]}, "params.head must be"),
    (("cost",), {"analysis": "cost"}, "params.analysis must be one of prediction, .*, not 'cost'"),
    (("cost",), {"params": 1}, "params.params must be an object"),
    (("cost",), {"analysis": "patching", "params": {"component": "x"}}, "component must be one of"),
    (("cost",), {"params": {"corruption": {"kind": "question", "bank": "nowhere"}}}, "no bank 'nowhere'"),
    (("cost",), {"analysis": "readings"}, "takes questions; this request carries question"),
    (tuple({*ANALYSES} - {"cost"}), {"colour": "red"}, "has no parameter 'colour'"),
]


@pytest.mark.parametrize(
    ("name", "params", "message"), [(name, *wrong) for names, *wrong in WRONG for name in sorted(names)]
)
def test_bad_values_need_no_model_to_be_refused(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(LetterheadsError, match=message):
        fetch(asked(name, params))


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_is_needed_is_asked_for(name: str) -> None:
    request = asked(name, {})
    assert fetch(request).request == request
    with pytest.raises(LetterheadsError, match="needs"):
        fetch(Request.build(name, question=request.question, questions=request.questions))


def test_too_few_labels_are_seen_in_whatever_names_the_questions() -> None:
    few: dict[str, Any] = {"prompt": {"labels": ["A", "B"]}}
    bank: dict[str, Any] = {"question": None, "questions": {"bank": "knowledge", "limit": 3}}
    given = {"corruption": {"kind": "question", "question": {**QUESTION, "options": ["1", "2", "3", "4"]}}}
    for request in (
        asked("prediction", {}, **few),
        asked("subspace", {}, **few),
        asked("attention", {}, **few, **bank),
        asked("patching", given, prompt={"labels": ["A", "B", "C"]}),
    ):
        with pytest.raises(LetterheadsError, match=r"options but only . labels\. Add labels"):
            fetch(request)
    beyond = asked("effects", {"metric": {"kind": "loss", "label": "J"}}, **bank)
    with pytest.raises(LetterheadsError, match="must be one of the labels A, B, C, D, not 'J'"):
        fetch(beyond)


@pytest.mark.parametrize("name", [name for name in sorted(ANALYSES) if "questions" in ANALYSES[name].takes])
def test_several_questions_need_right_answers(name: str) -> None:
    unknown = {**QUESTION, "answer": None}
    with pytest.raises(LetterheadsError, match=r"without a right answer cannot be averaged: 'Which\?'"):
        fetch(asked(name, {}, question=None, questions=[QUESTION, unknown]))


ANYTHING = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-5, 30)
    | some.floats(-9, 9)
    | some.text("aLzH17", max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(some.sampled_from(["kind", "seed", "head", "label", "top"]), inner, max_size=3)
    ),
)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "param"), [(name, param.name) for name in sorted(ANALYSES) for param in ANALYSES[name].params]
)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(value=ANYTHING)
def test_any_value_is_refused_in_words_or_read(name: str, param: str, value: object) -> None:
    request = asked(name, {param: value})
    try:
        values = analysis_named(name).values(request)
    except LetterheadsError as error:
        told = str(error)
    else:
        told = json.dumps(values, allow_nan=False)
        assert values.keys() == {one.name for one in analysis_named(name).params}
    assert "\n" not in told
