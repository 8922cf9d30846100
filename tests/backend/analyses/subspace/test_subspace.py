"""Subspaces of one head: collected as the model has them, separable on the hand-wired head, questions left out told."""

from dataclasses import replace

import numpy as np
import pytest

from backend.analyses import Findings, Task
from backend.analyses.subspace.schema import SUBSPACE
from backend.contract.errors import LetterheadsError, RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired, tiny

LAYER, HEAD = hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head
WORDS = ("red", "blue", "green", "white", "pick", "Answer")


@pytest.fixture(scope="module")
def tiny_instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def questions(count: int) -> tuple[Question, ...]:
    """Questions with different options, so that there are many of them."""
    made = []
    for number in range(count):
        options = tuple(WORDS[(number + place) % len(WORDS)] for place in range(4))
        made.append(replace(hand_wired.question(number % 4), options=options))
    return tuple(made)


def found(instrument: Instrument, asked: tuple[Question, ...], **params: object) -> Findings:
    spec = hand_wired.SPEC if instrument.resolved.name == "hand-wired" else PromptSpec(template="plain")
    request = Request.build(
        "subspace", questions=asked, prompt=spec, params={"head": [LAYER, HEAD], **params}
    )
    SUBSPACE.check(request)
    return SUBSPACE.run(instrument, Task(request, asked, ((),) * len(asked)), silent)


def test_the_correct_letter_head_is_separable_in_three_dimensions(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument, questions(40))
    assert result.scalars["separability"] == 1
    assert result.scalars["separability_keys"] == 1
    assert result.scalars["separability_shuffled"] < 0.6
    assert result.scalars["variance_q3"] > 0.99
    assert result.scalars["variance_k3"] > 0.99
    assert result.arrays["points_q"].values.shape == (40, 3)
    assert result.arrays["points_k"].values.shape == (40, 4, 3)
    assert result.scalars["questions"][1]["answer"] == "B"
    assert result.scalars["questions"][1]["right"]
    assert result.scalars["kept"] == 40


@pytest.mark.parametrize("rotated", [False, True])
def test_vectors_are_the_runs_own(tiny_instrument: Instrument, rotated: bool) -> None:
    asked = questions(8)
    result = found(tiny_instrument, asked, rotated=rotated)
    prompt = tiny_instrument.prompt(asked[5], PromptSpec(template="plain"))
    trace = tiny_instrument.trace(prompt.token_ids)
    label = prompt.positions("label 2")[-1]
    q, k = trace.q[LAYER, -1, HEAD], trace.k[LAYER, label, 1]
    if rotated:
        q, k = trace.q_rotated[LAYER, HEAD, -1], trace.k_rotated[LAYER, 1, label]
    assert np.array_equal(result.arrays["q"].values[5], q.numpy())
    assert np.array_equal(result.arrays["k"].values[5, 2], k.numpy())
    assert np.array_equal(result.arrays["v"].values[5, 2], trace.v[LAYER, label, 1].numpy())
    assert result.arrays["right"].values.tolist() == [number % 4 for number in range(8)]
    value, limit = result.checks["full_rank_error"]
    assert value < limit


def test_stacked_they_share_a_basis(tiny_instrument: Instrument) -> None:
    asked = questions(8)
    apart, stacked = found(tiny_instrument, asked), found(tiny_instrument, asked, stacked=True)
    assert np.array_equal(stacked.arrays["basis"].values, stacked.arrays["k_basis"].values)
    assert not np.array_equal(apart.arrays["basis"].values, apart.arrays["k_basis"].values)
    for name in ("q_variance", "k_variance"):
        assert stacked.arrays[name].values.sum() == pytest.approx(1, abs=1e-5)
        assert stacked.arrays[name].values[:3].sum() <= apart.arrays[name].values[:3].sum() + 1e-6


@pytest.mark.slow
def test_keys_elsewhere(tiny_instrument: Instrument) -> None:
    asked = questions(6)
    at = {
        name: found(tiny_instrument, asked, at=name).arrays["k"].values
        for name in ("label", "newline", "option")
    }
    assert not np.array_equal(at["label"], at["newline"])
    assert not np.array_equal(at["newline"], at["option"])


def test_questions_left_out_are_told(hand_wired_instrument: Instrument) -> None:
    short = Question(stem="pick alpha", options=("red", "blue"), answer=0, subject="red")
    wrong = replace(hand_wired.question(0), stem="pick beta")
    result = found(hand_wired_instrument, (*questions(8), short, wrong), keep="right")
    assert result.scalars["kept"] == 8
    reasons = [one["reason"] for one in result.scalars["left_out"]]
    assert reasons == ["2 options, not 4 as most of the questions", "the model answers B, not A"]
    assert found(hand_wired_instrument, (*questions(8), wrong)).scalars["kept"] == 9


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"rank": 0}, "params.rank"),
        ({"rank": "3"}, "params.rank"),
        ({"head": [9, 0]}, "no head L9H0"),
        ({"at": "stem"}, "params.at"),
        ({"keep": "some"}, "params.keep"),
        ({"stacked": 1}, "params.stacked"),
        ({"rank": 7}, "7 questions can be used; a subspace of rank 7 needs at least 9"),
        ({"other": 1}, "no parameter 'other'"),
    ],
)
def test_bad_params(hand_wired_instrument: Instrument, params: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        found(hand_wired_instrument, questions(7), **params)


def test_a_head_is_needed(hand_wired_instrument: Instrument) -> None:
    request = Request.build("subspace", questions=questions(8), prompt=hand_wired.SPEC)
    with pytest.raises(LetterheadsError, match=r"needs params\.head"):
        SUBSPACE.run(hand_wired_instrument, Task(request, questions(8), ((),) * 8), silent)
