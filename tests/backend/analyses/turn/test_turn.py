"""One head turned to another label: against hooks on the whole model, and on the circuit that was wired by hand."""

from typing import Any

import numpy as np
import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.turn.schema import TURN, WAYS
from backend.contract.errors import RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, OwnValues, Sweep, Wanted, run_sweep
from tests import hand_wired, tiny

PLAIN = PromptSpec(template="plain")


def turned(
    instrument: Instrument, question: Question | None = None, spec: PromptSpec = PLAIN, **params: object
) -> Findings:
    question = question or hand_wired.question(1)
    request = Request.build("turn", question=question, prompt=spec, params={"head": [1, 2], **params})
    TURN.check(request)
    return TURN.run(instrument, Task(request, (question,), ((),)), silent)


def test_the_hand_wired_letter_turns_by_the_key_and_not_at_random(hand_wired_instrument: Instrument) -> None:
    found = turned(hand_wired_instrument, to="D", strengths=[0, 0.5, 1.5, 3])
    arrays = {name: one.values for name, one in found.arrays.items()}
    assert found.scalars["predicted"] == "B"
    said = arrays["label_logits"].argmax(-1)
    assert said[WAYS.index("key")].tolist() == [1, 1, 3, 3]
    assert said[WAYS.index("random")].tolist() == [1] * 4
    # The stem names a place, so the query with two options swapped is the same: it never turns the letter.
    assert said[WAYS.index("query")].tolist() == [1] * 4
    assert found.scalars["query_length"] < 1e-5
    assert arrays["label_logits_at_all"].argmax() == 3
    assert (np.diff(arrays["attention"][0, :, 3]) > 0).all()
    assert arrays["attention"][0, -1, 3] > 0.9
    np.testing.assert_allclose(arrays["label_logits"][:, 0], [arrays["label_logits_model"]] * 3, atol=1e-5)
    np.testing.assert_allclose(arrays["attention"][:, 0], [arrays["attention_model"]] * 3, atol=1e-6)
    for value, limit in found.checks.values():
        assert value < limit


def test_at_strength_1_the_query_is_that_of_the_prompt_with_two_options_swapped(
    family_instrument: Instrument,
) -> None:
    question = hand_wired.question(1)
    found = turned(family_instrument, strengths=[0.5, 1, 2])
    said, to = ("ABCD".index(found.scalars[name]) for name in ("predicted", "to"))
    options = list(question.options)
    options[said], options[to] = options[to], options[said]
    swapped = Question(question.stem, tuple(options), None, question.subject)
    prompts = [family_instrument.prompt(one, PLAIN) for one in (question, swapped)]
    own, other = (family_instrument.trace(prompt.token_ids).q[1, -1, 2] for prompt in prompts)
    ids = prompts[0].token_ids
    node = ("q", Cell(1, len(ids) - 1, 2))
    values = {(case, node): own + by * (other - own) for case, by in enumerate((0.5, 1, 2))}
    swept = run_sweep(
        family_instrument,
        Sweep(ids, OwnValues(values), [[node]] * 3, Wanted(prompts[0].answer_ids)),
    )
    ours = torch.from_numpy(found.arrays["label_logits"].values[WAYS.index("query")])
    torch.testing.assert_close(ours, swept.logits, atol=1e-4, rtol=1e-4)


def test_every_key_case_is_a_patched_key() -> None:
    # In the last layer of a model whose heads have keys of their own nobody else reads them.
    instrument = Instrument(tiny.loaded(tiny.tiny_model("gpt_neox"), tiny.tokenizer(), "gpt_neox"))
    found = turned(instrument, head=[2, 1], strengths=[-1.5, 2])
    said, to = (found.scalars["labels"].index(found.scalars[name]) for name in ("predicted", "to"))
    prompt = instrument.prompt(hand_wired.question(1), PLAIN)
    trace = instrument.trace(prompt.token_ids)
    at = [prompt.positions(f"label {label}")[-1] for label in range(4)]
    keys = trace.k[2, at, 1]
    direction = keys[said] - keys[[place for place in range(4) if place != said]].mean(0)
    node = ("k", Cell(2, at[to], 1))
    values = {(case, node): keys[to] + by * direction for case, by in enumerate((-1.5, 2))}
    swept = run_sweep(
        instrument, Sweep(prompt.token_ids, OwnValues(values), [[node]] * 2, Wanted(prompt.answer_ids))
    )
    ours = torch.from_numpy(found.arrays["label_logits"].values[0])
    torch.testing.assert_close(ours, swept.logits, atol=2e-5, rtol=1e-4)
    likeliest = trace.logits[list(prompt.answer_ids)].argsort(descending=True)
    assert [said, to] == likeliest[:2].tolist()


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"to": "B"}, "The model says B already, so the head cannot be turned to it. .*: one of A, C, D."),
        ({"to": "E"}, "params.to must be one of the labels"),
        ({"head": [9, 0]}, "There is no head L9H0"),
        ({"strengths": []}, "params.strengths must be"),
        ({"at": "stem"}, "params.at must be one of"),
    ],
)
def test_what_cannot_be_turned_is_refused(
    hand_wired_instrument: Instrument, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(RequestError, match=told):
        turned(hand_wired_instrument, **params)


def test_a_head_with_the_same_key_everywhere_has_no_direction() -> None:
    model = hand_wired.hand_wired()
    with torch.no_grad():
        model.model.model.layers[1].self_attn.k_proj.weight.zero_()
    with pytest.raises(RequestError, match="keys are the same at all labels"):
        turned(Instrument(model))
