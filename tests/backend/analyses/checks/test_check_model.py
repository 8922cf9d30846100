"""Going on from the cached prompt gives the same scores as whole passes; the verdict follows the intervals."""

import numpy as np
import pytest
import torch

from backend.analyses import Analysis, Task
from backend.analyses.attention.schema import ATTENTION
from backend.analyses.attribution.schema import ATTRIBUTION
from backend.analyses.checks.check_model import _answer
from backend.analyses.checks.schema import CHECK_MODEL
from backend.analyses.intervals import mean_interval, share_interval
from backend.contract.errors import Cancelled
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired


def test_content_scores_are_those_of_whole_passes(family_instrument: Instrument) -> None:
    question = Question(stem="What is it?", options=("one", "a longer one", "2"), answer=2)
    prompt = family_instrument.prompt(question, PromptSpec())
    stem = prompt.text.removesuffix(" (")
    scores = []
    for option in question.options:
        ids = family_instrument.tokenizer(f"{stem} {option}")["input_ids"]
        with torch.no_grad():
            logits = family_instrument.model(input_ids=torch.tensor([ids])).logits[0]
        logprobs = torch.log_softmax(logits, -1)
        start = len(family_instrument.tokenizer(stem)["input_ids"])
        own = [float(logprobs[place - 1, ids[place]]) for place in range(start, len(ids))]
        scores.append(sum(own) / len(own))
    found = _answer(family_instrument, question, prompt, special=True)
    assert found.content_scores == pytest.approx(scores, abs=1e-4)


def test_the_hand_wired_model_answers_by_letter_only(hand_wired_instrument: Instrument) -> None:
    questions = tuple(hand_wired.question(right % 4) for right in range(12))
    request = Request.build("check-model", questions=questions, prompt=hand_wired.SPEC)
    found = CHECK_MODEL.run(hand_wired_instrument, Task(request, questions, ((),) * 12), silent)
    assert found.scalars["label_accuracy"]["value"] == 1
    assert found.scalars["content_accuracy"]["value"] < 0.5
    assert found.scalars["go"] is True
    assert found.arrays["letters_predicted"].values == pytest.approx([0.25] * 4)
    assert "above chance" in found.scalars["verdict"]


def test_a_model_at_chance_is_no_go(plain_instrument: Instrument) -> None:
    questions = tuple(Question(stem=f"{n}?", options=("a", "b", "c", "d"), answer=n % 4) for n in range(12))
    request = Request.build("check-model", questions=questions)
    found = CHECK_MODEL.run(plain_instrument, Task(request, questions, ((),) * 12), silent)
    assert found.scalars["go"] is False
    assert found.scalars["verdict"].startswith("No go")


def test_saying_one_letter_is_no_go_however_often_it_is_right(hand_wired_instrument: Instrument) -> None:
    # The model reads the right letter, so that it says one letter of these questions and is right each time.
    questions = tuple(hand_wired.question(2) for _ in range(20))
    request = Request.build("check-model", questions=questions, prompt=hand_wired.SPEC)
    found = CHECK_MODEL.run(hand_wired_instrument, Task(request, questions, ((),) * 20), silent)
    assert found.scalars["label_accuracy"]["low"] > found.scalars["chance"] == 0.25
    assert found.scalars["chance_by_label"] == 1
    assert found.scalars["go"] is False
    assert "chance 100%" in found.scalars["verdict"]


def test_intervals_by_hand() -> None:
    # Wilson 1927 for 8 of 10, as tabulated by Newcombe 1998's method 3.
    assert share_interval(8, 10) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert share_interval(0, 5)[1] == 0
    mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert (mean, low, high) == pytest.approx((2, 2 - 1.959964 / 3**0.5, 2 + 1.959964 / 3**0.5))
    assert np.isnan(mean_interval(np.array([1.0]))[1])


@pytest.mark.parametrize("analysis", [CHECK_MODEL, ATTRIBUTION, ATTENTION], ids=lambda entry: entry.name)
def test_a_run_over_questions_can_be_cancelled_inside_a_question(
    plain_instrument: Instrument, analysis: Analysis
) -> None:
    questions = tuple(
        Question(stem=f"How {analysis.name} {n}?", options=("a", "b"), answer=0) for n in range(3)
    )
    request = Request.build(analysis.name, questions=questions)
    calls: list[tuple[int, int]] = []

    def cancel_inside_the_second(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Going through"):
            calls.append((done, total))
        if calls.count((1, 3)) == 3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        analysis.run(plain_instrument, Task(request, questions, ((),) * 3), cancel_inside_the_second)
    assert set(calls) == {(0, 3), (1, 3)}
