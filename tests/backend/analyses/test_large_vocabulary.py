"""Every loss is that of float64 over 150,000 tokens, where the plain float32 `log_softmax` is 1e-4 off."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from backend.analyses import ANALYSES, Task
from backend.analyses.task import Findings
from backend.contract.progress import silent
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired
from tests.tiny import loaded

TOKENS = 150_000
# The model answers A to the first; the other three are there for what needs several.
WRONG = Question("pick alpha", ("red", "blue", "green", "white"), answer=1, subject="red")
QUESTIONS = (WRONG, *map(hand_wired.question, range(4)), *map(hand_wired.question, range(4)))


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """The hand-wired model with tokens that nothing writes for: their logits are 0, the predicted label's is 12."""
    made = hand_wired.hand_wired()
    model, size = made.model, len(hand_wired.WORDS)
    for name in ("get_input_embeddings", "get_output_embeddings"):
        module = getattr(model, name)()
        module.weight = nn.Parameter(
            nn.functional.pad(module.weight, (0, 0, 0, TOKENS - size)), requires_grad=False
        )
    model.config.vocab_size = TOKENS
    wide = Instrument(loaded(model, made.tokenizer, "wide"))
    top = float(logits_of(wide, WRONG).max())
    model.get_output_embeddings().weight.data *= 12 / top
    return wide


def logits_of(instrument: Instrument, question: Question) -> torch.Tensor:
    ids = torch.tensor([instrument.prompt(question, hand_wired.SPEC).token_ids])
    with torch.no_grad():
        logits: torch.Tensor = instrument.model(input_ids=ids).logits[0, -1]
    return logits


def exact_loss(instrument: Instrument, question: Question = WRONG) -> float:
    logits, prompt = logits_of(instrument, question), instrument.prompt(question, hand_wired.SPEC)
    assert prompt.answer is not None
    token = prompt.answer_ids[prompt.answer]
    exact = float(torch.logsumexp(logits.double(), -1) - logits[token].double())
    assert abs(exact + float(torch.log_softmax(logits, -1)[token])) > 1e-5, "a vector that shows nothing"
    return exact


def of_one(name: str, **params: Any) -> Callable[[Instrument], Findings]:
    def run(instrument: Instrument) -> Findings:
        request = Request.build(name, question=WRONG, prompt=hand_wired.SPEC, params=params)
        return ANALYSES[name].run(instrument, Task(request, (WRONG,), ((),)), silent)

    return run


def of_several(name: str, **params: Any) -> Callable[[Instrument], Findings]:
    def run(instrument: Instrument) -> Findings:
        request = Request.build(name, questions=QUESTIONS, prompt=hand_wired.SPEC, params=params)
        return ANALYSES[name].run(instrument, Task(request, QUESTIONS, ((),) * len(QUESTIONS)), silent)

    return run


LOSS = {"kind": "loss", "label": "B"}
PATCHED = {"component": "z", "positions": "final", "metric": LOSS}
WHERE: dict[str, tuple[Callable[[Instrument], Findings], Callable[[Findings], Any]]] = {
    "prediction": (of_one("prediction"), lambda found: found.scalars["loss"]),
    "prediction, labels": (
        of_one("prediction"),
        lambda found: -found.arrays["label_logprobs"].values[1],
    ),
    "attribution": (of_one("attribution"), lambda found: found.scalars["loss"]),
    "attention": (of_one("attention"), lambda found: found.scalars["loss"]),
    "check-model": (of_several("check-model"), lambda found: found.arrays["loss_by_question"].values[0]),
    "readings": (of_several("readings"), lambda found: found.arrays["loss_by_question"].values[0]),
    "patching": (of_one("patching", **PATCHED), lambda found: found.scalars["clean"]),
    "attribution_patching": (
        of_one("attribution_patching", metric=LOSS),
        lambda found: found.scalars["clean"],
    ),
    "effects": (of_one("effects", metric=LOSS), lambda found: found.scalars["clean"]),
    "paths": (of_one("paths", receiver={"head": [1, 2]}, metric=LOSS), lambda found: found.scalars["clean"]),
}


@pytest.mark.parametrize("where", WHERE)
def test_the_loss_is_that_of_float64(instrument: Instrument, where: str) -> None:
    run, loss = WHERE[where]
    assert float(loss(run(instrument))) == pytest.approx(exact_loss(instrument), abs=1e-6)


def test_runs_with_a_replaced_output_have_the_loss_of_float64(instrument: Instrument) -> None:
    """At full rank nothing is replaced; `loss_model` is of the trace, `loss` of a sweep."""
    found = of_several("compression", head=[1, 2], keep="all")(instrument)
    exact = np.mean([exact_loss(instrument, question) for question in QUESTIONS])
    assert float(found.arrays["loss_model"].values) == pytest.approx(exact, abs=1e-6)
    assert found.arrays["loss"].values[-1] == pytest.approx(exact, abs=5e-6)  # the row is computed again
