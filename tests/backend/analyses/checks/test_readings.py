"""Readings are what the single analyses give, question by question."""

import dataclasses

import numpy as np
import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.attribution.attribution import attribute, net_effect
from backend.analyses.checks.schema import READINGS
from backend.analyses.patching.schema import PATCHING
from backend.contract.errors import QuestionError, RequestError
from backend.contract.progress import silent
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired, tiny

QUESTIONS = (*(hand_wired.question(right) for right in range(3)), Question("pick beta", ("red", "blue"), 1))


def readings(instrument: Instrument, questions: tuple[Question, ...] = QUESTIONS, **params: int) -> Findings:
    request = Request.build("readings", questions=questions, prompt=hand_wired.SPEC, params=params)
    return READINGS.run(instrument, Task(request, questions, tuple(() for _ in questions)), silent)


def test_each_question_is_read_as_alone(hand_wired_instrument: Instrument) -> None:
    found = readings(hand_wired_instrument)
    arrays = {name: each.values for name, each in found.arrays.items()}
    assert found.arrays["net"].axes == ("question", "layer", "head")
    for number, question in enumerate(QUESTIONS):
        prompt = hand_wired_instrument.prompt(question, hand_wired.SPEC)
        trace = hand_wired_instrument.trace(prompt.token_ids)
        logits = trace.logits[list(prompt.answer_ids)]
        count = len(question.options)
        np.testing.assert_allclose(arrays["label_logits"][number, :count], logits, atol=1e-5)
        assert np.isnan(arrays["label_logits"][number, count:]).all()
        assert arrays["predicted"][number] == int(logits.argmax()) == arrays["right"][number]
        net = net_effect(
            attribute(hand_wired_instrument, trace, prompt.answer_ids).heads, question.answer or 0
        )
        np.testing.assert_allclose(arrays["net"][number], net, atol=1e-5)
    assert found.scalars["accuracy"]["value"] == 1
    assert found.scalars["loss"]["value"] == pytest.approx(arrays["loss_by_question"].mean())
    assert all(value <= limit for value, limit in found.checks.values())


def test_patched_values_are_those_of_patching(hand_wired_instrument: Instrument) -> None:
    found = readings(hand_wired_instrument, patched=2)
    assert found.arrays["patched"].values.shape == (2, 2, 4)
    assert found.scalars["patched_questions"] == 2
    request = Request.build(
        "patching", question=QUESTIONS[1], prompt=hand_wired.SPEC, params={"positions": "final"}
    )
    alone = PATCHING.run(hand_wired_instrument, Task(request, (QUESTIONS[1],), ((),)), silent)
    np.testing.assert_allclose(
        found.arrays["patched"].values[1], alone.arrays["values"].values[..., 0], atol=1e-5
    )
    assert "oracle_error" not in readings(hand_wired_instrument, patched=0).checks


def test_a_question_that_cannot_be_corrupted_is_counted(hand_wired_instrument: Instrument) -> None:
    lonely = dataclasses.replace(QUESTIONS[0], options=("red", "blue green", "white pick", "green red"))
    found = readings(hand_wired_instrument, (lonely, QUESTIONS[1]))
    assert (found.scalars["patched_questions"], found.scalars["left_out"]) == (1, 1)
    assert np.isnan(found.arrays["patched"].values[0]).all()
    assert np.isfinite(found.arrays["patched"].values[1]).all()


def test_where_each_cell_is_a_whole_pass_the_strongest_heads_are_patched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backend.analyses.checks.readings.WHOLE_CELLS", 3)
    loaded = tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "eight bits")
    loaded = dataclasses.replace(loaded, resolved=dataclasses.replace(loaded.resolved, quantization="8bit"))
    found = readings(Instrument(loaded), (Question("What is 1 + 1?", ("1", "2", "3"), 1),))
    patched, net = (torch.from_numpy(found.arrays[name].values[0]) for name in ("patched", "net"))
    assert set(patched.isfinite().flatten().nonzero()[:, 0].tolist()) == set(
        net.flatten().abs().topk(3).indices.tolist()
    )


def test_what_cannot_be_compared_is_refused(hand_wired_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match=r"params\.patched must be a whole number"):
        readings(hand_wired_instrument, patched=-1)
    with pytest.raises(QuestionError, match="without a right answer"):
        readings(hand_wired_instrument, (dataclasses.replace(QUESTIONS[0], answer=None),))
