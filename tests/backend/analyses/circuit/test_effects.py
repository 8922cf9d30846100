"""Effects: the hand-wired circuit's parts told apart, and each kind against a whole pass with its hook."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.circuit.schema import EFFECTS
from backend.contract.errors import QuestionError, RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.sweep.recheck import MESSAGE
from backend.engine.writes import head_changes
from tests import hand_wired

QUESTION = hand_wired.question(1)
TEXT = {"kind": "text", "prompt": "pick delta\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: ("}
METRIC = {"kind": "logit_difference", "label": "B", "other": "D"}


def found(instrument: Instrument, **params: object) -> Findings:
    request = Request.build(
        "effects",
        question=QUESTION,
        prompt=hand_wired.SPEC,
        params={"corruption": TEXT, "metric": METRIC, **params},
    )
    return EFFECTS.run(instrument, Task(request, (QUESTION,), ((),)), silent)


def test_the_gatherer_acts_through_the_correct_letter_head(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument)
    heads = {
        kind: result.arrays[f"heads_{kind}"].values[0]
        for kind in ("total", "direct", "indirect", "interaction")
    }
    whole = result.scalars["clean"] - result.scalars["corrupted"]
    gatherer = (hand_wired.GATHERER.layer, hand_wired.GATHERER.head)
    letter = (hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head)
    assert heads["total"][gatherer] > 0.9 * whole
    assert abs(heads["direct"][gatherer]) < 0.05 * whole
    assert heads["indirect"][gatherer] > 0.9 * whole
    assert heads["total"][letter] > 0.9 * whole
    assert heads["direct"][letter] == pytest.approx(heads["total"][letter], abs=1e-3)
    assert abs(heads["indirect"][letter]) < 1e-3
    assert result.ticks["norm"] == ("recomputed", "frozen")
    assert result.checks["additivity_error"][0] < 1e-4
    assert result.checks["oracle_error"][0] < 1e-5


def family_found(
    instrument: Instrument, metric: dict[str, str]
) -> tuple[Findings, tuple[int, ...], tuple[int, ...]]:
    spec = PromptSpec(template="plain")
    prompt = instrument.prompt(QUESTION, spec)
    text = prompt.text.replace("beta", "gama")
    request = Request.build(
        "effects",
        question=QUESTION,
        prompt=spec,
        params={"corruption": {"kind": "text", "prompt": text}, "metric": metric},
    )
    other = tuple(instrument.tokenizer(text)["input_ids"])
    return EFFECTS.run(instrument, Task(request, (QUESTION,), ((),)), silent), prompt.token_ids, other


@pytest.mark.parametrize("kind", ["net_logit", "log_probability"])
def test_each_kind_is_a_whole_pass_with_its_hook(family_instrument: Instrument, kind: str) -> None:
    result, ids, other_ids = family_found(family_instrument, {"kind": kind, "label": "B"})
    base, other = family_instrument.trace(ids), family_instrument.trace(other_ids)
    labels = list(family_instrument.prompt(QUESTION, PromptSpec(template="plain")).answer_ids)
    layer, head = 1, 2
    change = head_changes(family_instrument, layer, base.z[layer, -1:], other.z[layer, -1:])[head, 0]
    d_head = family_instrument.shape.d_head
    family = family_instrument.family
    output = family.output(family.attention(family.layers(family_instrument.model)[layer]))

    def metric(patched: bool, added: torch.Tensor) -> float:
        def exchange(_: object, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            z = args[0].clone()
            if patched:
                z[0, -1, head * d_head : (head + 1) * d_head] = other.z[layer, -1, head]
            return (z,)

        def add(_: object, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            whole = args[0].clone()
            whole[0, -1] += added
            return (whole,)

        hooks = [
            output.register_forward_pre_hook(exchange),
            family.final_norm(family_instrument.model).register_forward_pre_hook(add),
        ]
        with torch.no_grad():
            logits = family_instrument.model(torch.tensor([ids])).logits[0, -1]
        for hook in hooks:
            hook.remove()
        if kind == "log_probability":
            return float(logits[labels[1]] - logits.logsumexp(-1))
        return float(logits[labels[1]] - (logits[labels].sum() - logits[labels[1]]) / 3)

    nothing = torch.zeros_like(change)
    clean = metric(False, nothing)
    expected = {
        "total": clean - metric(True, nothing),
        "direct": clean - metric(False, change),
        "indirect": clean - metric(True, -change),
    }
    for name, value in expected.items():
        assert result.arrays[f"heads_{name}"].values[0, layer, head] == pytest.approx(value, abs=2e-5)
    rest = expected["total"] - expected["direct"] - expected["indirect"]
    assert result.arrays["heads_interaction"].values[0, layer, head] == pytest.approx(rest, abs=5e-5)


def test_under_a_frozen_norm_direct_effects_are_the_change_of_attribution(
    family_instrument: Instrument,
) -> None:
    config = family_instrument.model.config
    if family_instrument.family.logit_cap(config) is not None:
        pytest.skip("a soft cap on logits is not linear")
    result, ids, other_ids = family_found(family_instrument, {"kind": "net_logit", "label": "B"})
    base, other = family_instrument.trace(ids), family_instrument.trace(other_ids)
    labels = family_instrument.prompt(QUESTION, PromptSpec(template="plain")).answer_ids
    norm = family_instrument.family.frozen_norm(family_instrument.model, base.resid_final[-1])
    rows = family_instrument.weights.label_directions(labels, norm)
    net = (rows[1] - rows[[0, 2, 3]].mean(0)) / family_instrument.family.logit_divisor(config)
    expected = (base.mlp_out[:, -1] - other.mlp_out[:, -1]) @ net
    assert result.arrays["mlps_direct"].values[1] == pytest.approx(expected.numpy(), abs=1e-4)
    assert result.checks["additivity_error"][0] < 1e-4


def over(
    instrument: Instrument, questions: tuple[Question, ...], corruption: dict[str, str] = TEXT
) -> Findings:
    request = Request.build(
        "effects", questions=questions, prompt=hand_wired.SPEC, params={"corruption": corruption}
    )
    return EFFECTS.run(instrument, Task(request, questions, ((),) * len(questions)), silent)


def test_over_questions_means_have_intervals(hand_wired_instrument: Instrument) -> None:
    result = over(hand_wired_instrument, tuple(hand_wired.question(right) for right in (0, 1, 2)))
    assert (result.scalars["count"], result.scalars["left_out"]) == (3, 0)
    for name in ("heads_total", "mlps_indirect"):
        low, mean, high = (result.arrays[f"{name}{part}"].values for part in ("_low", "", "_high"))
        assert (low <= mean + 1e-7).all()
        assert (mean <= high + 1e-7).all()
    best = np.unravel_index(result.arrays["heads_direct"].values[0].argmax(), (2, 4))
    assert best == (hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head)


def test_questions_that_cannot_be_used(hand_wired_instrument: Instrument) -> None:
    same = hand_wired.question(3)  # its prompt is the corrupted one
    kept = over(hand_wired_instrument, (QUESTION, same))
    assert (kept.scalars["count"], kept.scalars["left_out"]) == (1, 1)
    with pytest.raises(RequestError, match="None of the questions can be used"):
        over(hand_wired_instrument, (same,))
    with pytest.raises(QuestionError, match="without a right answer"):
        over(hand_wired_instrument, (replace(QUESTION, answer=None),))


def test_all_effects_are_shown_before_they_are_checked(hand_wired_instrument: Instrument) -> None:
    request = Request.build(
        "effects",
        question=QUESTION,
        prompt=hand_wired.SPEC,
        params={"corruption": TEXT, "metric": METRIC},
    )
    seen: list[Findings] = []
    heard: list[str] = []

    def progress(message: str, done: int = 0, total: int = 0) -> None:
        if message == MESSAGE and not heard:
            heard.append(message)
            assert len(seen) == 1

    result = EFFECTS.run(hand_wired_instrument, Task(request, (QUESTION,), ((),), show=seen.append), progress)
    assert heard
    assert not seen[0].checks
    assert seen[0].arrays.keys() == result.arrays.keys()
    for name, shown in seen[0].arrays.items():
        np.testing.assert_array_equal(shown.values, result.arrays[name].values)
