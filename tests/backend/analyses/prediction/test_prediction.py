"""The numbers of a prediction are those of plain transformers."""

import pytest
import torch

from backend.analyses import Task
from backend.analyses.prediction.schema import PREDICTION
from backend.analyses.task import Findings
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTION = Question(stem="What is 1 + 1?", options=("1", "2", "3"), answer=1)


def run(instrument: Instrument, question: Question, spec: PromptSpec = PromptSpec()) -> Findings:  # noqa: B008
    request = Request.build("prediction", question=question, prompt=spec)
    return PREDICTION.run(instrument, Task(request, (question,), ((),)), silent)


def test_equals_plain_transformers(family_instrument: Instrument) -> None:
    found = run(family_instrument, QUESTION)
    prompt = family_instrument.prompt(QUESTION, PromptSpec())
    with torch.no_grad():
        logits = family_instrument.model(input_ids=torch.tensor([prompt.token_ids])).logits[0, -1]
    ids = list(prompt.answer_ids)
    logprobs = torch.log_softmax(logits, -1)
    assert found.arrays["label_logits"].values == pytest.approx(logits[ids].numpy(), abs=1e-5)
    assert found.arrays["label_logprobs"].values == pytest.approx(logprobs[ids].numpy(), abs=1e-5)
    assert found.arrays["label_probs"].values == pytest.approx(
        torch.softmax(logits[ids], -1).numpy(), abs=1e-5
    )
    assert found.scalars["loss"] == pytest.approx(-float(logprobs[ids[1]]), abs=1e-5)
    assert found.scalars["top_tokens"][0]["id"] == int(logits.argmax())
    assert found.scalars["text"] == prompt.text


def test_the_lens_ends_at_the_models_own_logits(family_instrument: Instrument) -> None:
    found = run(family_instrument, QUESTION)
    lens = found.arrays["lens"].values
    assert lens.shape == (family_instrument.shape.layers, 3)
    assert lens[-1] == pytest.approx(found.arrays["label_logits"].values, abs=1e-5)
    prompt = family_instrument.prompt(QUESTION, PromptSpec())
    with torch.no_grad():
        states = family_instrument.model(
            input_ids=torch.tensor([prompt.token_ids]), output_hidden_states=True
        ).hidden_states
        early = family_instrument.model.lm_head(
            family_instrument.family.final_norm(family_instrument.model)(states[1])
        )[0, -1, list(prompt.answer_ids)]
    config = family_instrument.model.config
    if cap := getattr(config, "final_logit_softcapping", None):
        early = torch.tanh(early / cap) * cap
    early = early / getattr(config, "logits_scaling", 1) * getattr(config, "logit_scale", 1)
    assert lens[0] == pytest.approx(early.numpy(), abs=1e-5)


@pytest.mark.parametrize("right", range(4))
def test_the_hand_wired_model_knows_its_answers(hand_wired_instrument: Instrument, right: int) -> None:
    found = run(hand_wired_instrument, hand_wired.question(right), hand_wired.SPEC)
    assert found.scalars["predicted"] == hand_wired.LABELS[right]
    # The letter appears in the layer that writes it, not before.
    lens = found.arrays["lens"].values
    assert abs(lens[0, right] - lens[0].mean()) < 0.1 < lens[1, right] - lens[1].mean()


def test_without_a_right_answer_there_is_no_loss(hand_wired_instrument: Instrument) -> None:
    open_question = Question(stem="pick alpha", options=("red", "blue"), subject="red")
    found = run(hand_wired_instrument, open_question, hand_wired.SPEC)
    assert found.scalars["loss"] is None
    assert found.scalars["answer"] is None
    assert found.scalars["predicted"] == "A"
