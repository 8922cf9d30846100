"""Attribution adds up to the model's own logits, and finds the head that was put there."""

import pytest
import torch

from backend.analyses import Task
from backend.analyses.attribution.attribution import attribute, by_source, net_effect
from backend.analyses.attribution.schema import ATTRIBUTION
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTION = Question(stem="What is 1 + 1?", options=("1", "2", "3"), answer=1)
ALL_RIGHT = tuple(hand_wired.question(right) for right in range(4))


def task(request: Request) -> Task:
    questions = (request.question,) if request.question else request.questions
    assert isinstance(questions, tuple)
    return Task(request, questions, tuple(() for _ in questions))


def test_parts_add_up_to_the_models_centred_logits(family_instrument: Instrument) -> None:
    prompt = family_instrument.prompt(QUESTION, PromptSpec())
    found = attribute(family_instrument, family_instrument.trace(prompt.token_ids), prompt.answer_ids)
    # The logits before a soft cap or scaling, if there is one.
    model = family_instrument.model
    with torch.no_grad():
        states = model(input_ids=torch.tensor([prompt.token_ids]), output_hidden_states=True).hidden_states
        logits = model.lm_head(states[-1][0, -1])
    own = logits[list(prompt.answer_ids)] - logits.mean()
    total = found.heads.sum((0, 1)) + found.mlps.sum(0) + found.embedding + found.bias
    torch.testing.assert_close(total, own, atol=1e-4, rtol=1e-4)
    assert found.identity_error == pytest.approx(float((total - own).abs().max()), abs=1e-5)
    # The parts are not trivially small: leaving one out would show.
    for part in (found.heads.sum((0, 1)), found.mlps.sum(0), found.embedding):
        assert part.abs().max() > 1e-2


def test_a_result_says_where_its_logits_come_before_a_cap(family_instrument: Instrument) -> None:
    found = ATTRIBUTION.run(
        family_instrument, task(Request.build("attribution", question=QUESTION, prompt=PromptSpec())), silent
    )
    capped_or_scaled = ("gemma2", "granite", "cohere", "cohere2")
    assert found.scalars["before_cap"] == (family_instrument.shape.model_type in capped_or_scaled)


def test_source_tokens_add_up_to_the_head(family_instrument: Instrument) -> None:
    prompt = family_instrument.prompt(QUESTION, PromptSpec())
    recorded = family_instrument.trace(prompt.token_ids)
    found = attribute(family_instrument, recorded, prompt.answer_ids)
    for head in (HeadRef(0, 0), HeadRef(2, 3)):
        source = by_source(found, recorded, head)
        assert source.shape == (len(prompt.tokens), 3)
        torch.testing.assert_close(source.sum(0), found.heads[head.layer, head.head], atol=1e-5, rtol=1e-4)


def test_net_effect_by_hand() -> None:
    values = torch.tensor([[3.0, 1.0, 0.0, 2.0], [0.0, 0.0, 4.0, 0.0]])
    torch.testing.assert_close(net_effect(values, 0), torch.tensor([2.0, -4 / 3]))


@pytest.mark.parametrize("right", range(4))
def test_the_hand_wired_head_writes_the_right_letter(hand_wired_instrument: Instrument, right: int) -> None:
    request = Request.build(
        "attribution", question=hand_wired.question(right), prompt=hand_wired.SPEC, params={"head": [1, 2]}
    )
    found = ATTRIBUTION.run(hand_wired_instrument, task(request), silent)
    assert found.scalars["predicted"] == found.scalars["answer"] == hand_wired.LABELS[right]
    net = net_effect(torch.from_numpy(found.arrays["heads"].values), right)
    best = divmod(int(net.argmax()), net.shape[1])
    assert HeadRef(*best) == hand_wired.CORRECT_LETTER
    others = net.flatten().sort().values[:-1].abs().max()
    assert net.max() > 20 * others
    # It read that letter at the right option's label.
    source = found.arrays["source"].values[:, right]
    assert found.scalars["roles"][source.argmax()] == f"label {right}"
    for value, limit in found.checks.values():
        assert value < limit


def test_over_several_questions_it_is_the_mean(hand_wired_instrument: Instrument) -> None:
    found = ATTRIBUTION.run(
        hand_wired_instrument,
        task(Request.build("attribution", questions=ALL_RIGHT, prompt=hand_wired.SPEC)),
        silent,
    )
    singles = []
    for right, question in enumerate(ALL_RIGHT):
        one = ATTRIBUTION.run(
            hand_wired_instrument,
            task(Request.build("attribution", question=question, prompt=hand_wired.SPEC)),
            silent,
        )
        singles.append(net_effect(torch.from_numpy(one.arrays["heads"].values), right))
    mean = torch.stack(singles).mean(0)
    torch.testing.assert_close(torch.from_numpy(found.arrays["net"].values), mean)
    assert (found.arrays["net_low"].values <= found.arrays["net_high"].values).all()
    assert found.scalars["count"] == 4


def test_a_head_out_of_range_is_refused(hand_wired_instrument: Instrument) -> None:
    request = Request.build("attribution", question=ALL_RIGHT[0], params={"head": [2, 0]})
    with pytest.raises(RequestError, match=r"no head L2H0.*layers 0 to 1 and heads 0 to 3"):
        ATTRIBUTION.run(hand_wired_instrument, task(request), silent)
