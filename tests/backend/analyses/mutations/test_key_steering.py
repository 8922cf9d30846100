"""Key steering: the hand-wired head's letter flips, runs are the sweep's own, and a random direction does less."""

from typing import Any

import numpy as np
import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.mutations.schema import KEY_STEERING
from backend.contract.errors import Cancelled, RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, OwnValues, Sweep, Wanted, run_sweep
from tests import tiny
from tests.backend.analyses.subspace.test_subspace import questions

PLAIN = PromptSpec(template="plain")


def task(asked: tuple[Question, ...], **params: object) -> Task:
    request = Request.build("key-steering", questions=asked, prompt=PLAIN, params={"head": [1, 2], **params})
    KEY_STEERING.check(request)
    return Task(request, asked, ((),) * len(asked))


def found(instrument: Instrument, count: int = 12, **params: object) -> Findings:
    return KEY_STEERING.run(instrument, task(questions(count), **params), silent)


def test_the_hand_wired_letter_flips_to_the_steered_option(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument)
    arrays = {name: one.values for name, one in result.arrays.items()}
    assert arrays["strength"].tolist() == [-4, -3, -2, -1, 0, 1, 2, 3, 4]
    assert result.ticks["strength"] == ("-4", "-3", "-2", "-1", "0", "1", "2", "3", "4")
    # Nothing at 0; at 4 every letter is the steered one; against the direction the model's own letter is left.
    assert arrays["flipped"][4] == arrays["left"][4] == 0
    assert arrays["flipped"][-1] == arrays["left"][0] == arrays["flipped_at_all"] == 1
    assert arrays["left"][-1] == arrays["flipped"][0] == 0
    assert (np.diff(arrays["steered_attention"]) >= 0).all()
    assert arrays["steered_attention"][[3, 5, 6]] == pytest.approx([0, 0.5, 1], abs=0.05)
    assert arrays["flipped_random"][-1] < 0.6
    assert arrays["logit_rise_random"][-1] < arrays["logit_rise"][-1] - 1
    # Not sharper than twelve questions allow, though there are 36 pairs.
    assert arrays["flipped_low"][-1] == pytest.approx(0.757, abs=1e-3)
    assert arrays["flipped_high"][-1] == pytest.approx(1)
    assert arrays["predicted"].tolist() == arrays["right"].tolist() == [number % 4 for number in range(12)]
    assert len(result.scalars["questions"]) == result.scalars["kept"] == 12
    for value, limit in result.checks.values():
        assert value < limit


def test_every_case_is_a_patched_key() -> None:
    # In the last layer of a model whose heads have keys of their own nobody else reads them.
    instrument = Instrument(tiny.loaded(tiny.tiny_model("gpt_neox"), tiny.tokenizer(), "gpt_neox"))
    asked = questions(8)
    result = KEY_STEERING.run(instrument, task(asked, head=[2, 1], strengths=[-1.5, 2]), silent)
    keys = []
    for question in asked:
        prompt = instrument.prompt(question, PLAIN)
        at = [prompt.positions(f"label {label}")[-1] for label in range(4)]
        keys.append(instrument.trace(prompt.token_ids).k[2, at, 1])
    # The third question's right label is C, the seventh's too.
    direction = keys[6][2] - keys[6][[0, 1, 3]].mean(0)
    prompt = instrument.prompt(asked[2], PLAIN)
    for option in range(4):
        node = ("k", Cell(2, prompt.positions(f"label {option}")[-1], 1))
        values = {(case, node): keys[2][option] + s * direction for case, s in enumerate((-1.5, 2))}
        swept = run_sweep(
            instrument, Sweep(prompt.token_ids, OwnValues(values), [[node]] * 2, Wanted(prompt.answer_ids))
        )
        ours = torch.from_numpy(result.arrays["label_logits"].values[2, option])
        torch.testing.assert_close(ours, swept.logits, atol=2e-5, rtol=1e-4)


def test_over_all_right_labels_the_direction_is_next_to_nothing(hand_wired_instrument: Instrument) -> None:
    same, every = (found(hand_wired_instrument, 16, fitted_on=fitted) for fitted in ("same", "all"))
    assert every.scalars["direction_length"] < 0.2 * same.scalars["direction_length"]
    assert every.arrays["flipped"].values.max() == 0


def test_a_question_with_nothing_to_fit_on_is_left_out(hand_wired_instrument: Instrument) -> None:
    # Of seven questions one alone has D as its right label.
    result = KEY_STEERING.run(hand_wired_instrument, task(questions(7)), silent)
    assert result.scalars["kept"] == 6
    assert [one["reason"] for one in result.scalars["left_out"]] == [
        "no other question has the same right label, so there is nothing to fit on"
    ]
    with pytest.raises(RequestError, match="0 questions can be used; fitting on the others needs at least 4"):
        KEY_STEERING.run(hand_wired_instrument, task(questions(4)), silent)


def test_keys_that_are_all_the_same() -> None:
    model = tiny.tiny_model("llama")
    attention = model.model.layers[1].self_attn
    attention.k_proj.weight.zero_()
    instrument = Instrument(tiny.loaded(model, tiny.tokenizer(), "llama"))
    with pytest.raises(RequestError, match="keys of L1H2 are the same at right and wrong labels"):
        found(instrument, 8)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"strengths": []}, "params.strengths"),
        ({"strengths": 3}, "params.strengths"),
        ({"strengths": [0] * 42}, "params.strengths"),
        ({"strengths": [float("1e3")]}, "A strength is a number from -100 to 100, not 1000"),
        ({"strengths": [10**400]}, "A strength is a number from -100 to 100, not 1000"),
        ({"strengths": [True]}, "A strength is a number"),
        ({"strengths": ["1"]}, "A strength is a number"),
        ({"fitted_on": "some"}, "params.fitted_on"),
        ({"head": [9, 9]}, "no head L9H9"),
        ({"heads": [[1, 2]]}, "no parameter 'heads'"),
    ],
)
def test_bad_params(hand_wired_instrument: Instrument, params: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        found(hand_wired_instrument, **params)


def test_it_can_be_cancelled(hand_wired_instrument: Instrument) -> None:
    def stop(message: str, done: int = 0, total: int = 0) -> None:
        if done == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        KEY_STEERING.run(hand_wired_instrument, task(questions(8)), stop)
