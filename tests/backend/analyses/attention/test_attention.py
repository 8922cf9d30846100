"""Attention rows, masses and value weights, worked out by hand and found on the hand-wired model."""

import pytest
import torch

from backend.analyses import Task
from backend.analyses.attention.attention import KINDS, all_final_rows, value_norms
from backend.analyses.attention.schema import ATTENTION
from backend.analyses.task import Findings
from backend.contract.errors import QuestionError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

ALL_RIGHT = tuple(hand_wired.question(right) for right in range(4))
LAYER, HEAD = hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head


def run(instrument: Instrument, request: Request) -> Findings:
    questions = (request.question,) if request.question else request.questions
    assert isinstance(questions, tuple)
    return ATTENTION.run(instrument, Task(request, questions, tuple(() for _ in questions)), silent)


def test_rows_sum_to_one_and_roles_share_them_out(family_instrument: Instrument) -> None:
    found = run(
        family_instrument,
        Request.build(
            "attention", question=Question(stem="Why?", options=("a", "b")), params={"head": [1, 3]}
        ),
    )
    final, roles = found.arrays["final"].values, found.arrays["roles"].values
    assert final.sum(-1) == pytest.approx(1, abs=1e-5)
    assert roles.sum(-1) == pytest.approx(1, abs=1e-5)
    pattern = found.arrays["pattern"].values
    assert pattern.sum(-1) == pytest.approx(1, abs=1e-5)
    assert pattern[-1] == pytest.approx(final[1, 3], abs=1e-6)
    assert (pattern[torch.ones(pattern.shape).triu(1).bool().numpy()] == 0).all()
    for value, limit in found.checks.values():
        assert value < limit


def test_value_weights_are_the_norms_of_what_is_read(family_instrument: Instrument) -> None:
    prompt = family_instrument.prompt(Question(stem="Why?", options=("a", "b")), PromptSpec())
    recorded = family_instrument.trace(prompt.token_ids)
    layer, head, token = 2, 3, 4
    kv_head = head // (family_instrument.shape.heads // family_instrument.shape.kv_heads)
    matrix, _ = family_instrument.weights.written(layer, recorded.z[layer, -1])
    read = matrix[:, head] @ recorded.v[layer, token, kv_head]
    norms = value_norms(family_instrument, recorded, layer)
    assert float(norms[head, token]) == pytest.approx(float(read.norm()), rel=1e-5)


@pytest.mark.parametrize("right", range(4))
def test_the_hand_wired_head_looks_at_the_right_label(hand_wired_instrument: Instrument, right: int) -> None:
    found = run(
        hand_wired_instrument, Request.build("attention", question=ALL_RIGHT[right], prompt=hand_wired.SPEC)
    )
    row = found.arrays["final"].values[LAYER, HEAD]
    assert found.scalars["roles"][row.argmax()] == f"label {right}"
    mass = found.arrays["roles"].values[LAYER, HEAD, found.ticks["role"].index(f"label {right}")]
    assert mass > 0.9
    weighted = found.arrays["final_value_weighted"].values[LAYER, HEAD]
    assert found.scalars["roles"][weighted.argmax()] == f"label {right}"


def test_over_several_questions_the_right_label_stands_out(hand_wired_instrument: Instrument) -> None:
    found = run(
        hand_wired_instrument, Request.build("attention", questions=ALL_RIGHT, prompt=hand_wired.SPEC)
    )
    assert found.arrays["right_top"].values[LAYER, HEAD] == 1
    assert found.arrays["right_top_among_labels"].values[LAYER, HEAD] == 1
    assert found.arrays["right_share"].values[LAYER, HEAD] > 0.95
    mass = found.arrays["roles"].values[LAYER, HEAD]
    assert KINDS[mass.argmax()] == "right label"
    # A head that does nothing in particular spreads its mass: the test above could fail.
    assert found.arrays["right_top"].values[0, 3] < 1


def test_masses_by_hand() -> None:
    from backend.analyses.attention.attention import mass_on

    final = torch.tensor([[[0.5, 0.2, 0.3]]])
    mass = mass_on(final, ["stem", "label 0", "stem"], ["label 0", "stem", "final"])
    torch.testing.assert_close(mass, torch.tensor([[[0.2, 0.8, 0.0]]]))


def test_a_question_without_an_answer_cannot_be_averaged(hand_wired_instrument: Instrument) -> None:
    open_question = Question(stem="pick alpha", options=("red", "blue"), subject="red")
    with pytest.raises(QuestionError, match="without a right answer"):
        run(hand_wired_instrument, Request.build("attention", questions=(open_question,)))


def test_rows_of_all_layers(hand_wired_instrument: Instrument) -> None:
    prompt = hand_wired_instrument.prompt(ALL_RIGHT[0], hand_wired.SPEC)
    rows = all_final_rows(hand_wired_instrument.trace(prompt.token_ids))
    assert rows.shape == (2, 4, len(prompt.tokens))
