"""Patching over several questions: the mean of single sweeps, by role, with intervals."""

import numpy as np
import pytest

from backend.analyses import Findings, Task
from backend.analyses.patching.schema import PATCHING
from backend.contract.errors import RequestError, ResourceError
from backend.contract.progress import silent
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTIONS = tuple(hand_wired.question(number % 3) for number in range(6))
CORRUPTION = {"kind": "question", "question": hand_wired.question(3).to_json()}


def patching(
    instrument: Instrument, questions: tuple[Question, ...] | Question, **params: object
) -> Findings:
    one = isinstance(questions, Question)
    asked = (questions,) if isinstance(questions, Question) else questions
    about = {"question": questions} if one else {"questions": questions}
    request = Request.build(
        "patching",
        prompt=hand_wired.SPEC,
        params={"corruption": CORRUPTION, "positions": "final", **params},
        **about,
    )
    return PATCHING.run(instrument, Task(request, asked, ((),) * len(asked)), silent)


@pytest.mark.parametrize("component", ["z", "mlp_out", "q", "pattern", "resid_pre"])
@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_it_is_the_mean_of_single_sweeps(
    hand_wired_instrument: Instrument, component: str, direction: str
) -> None:
    chosen = {"component": component, "direction": direction}
    together = patching(hand_wired_instrument, QUESTIONS, **chosen)
    single = [patching(hand_wired_instrument, question, **chosen) for question in QUESTIONS]
    each = np.stack([found.arrays["values"].values for found in single])
    np.testing.assert_allclose(together.arrays["values_each"].values, each, atol=1e-6)
    np.testing.assert_allclose(together.arrays["values"].values, each.mean(0), atol=1e-6)
    clean, corrupted = (np.mean([found.scalars[end] for found in single]) for end in ("clean", "corrupted"))
    share = (each.mean(0) - corrupted) / (clean - corrupted)
    np.testing.assert_allclose(together.arrays["recovered"].values, share, atol=1e-5)
    assert together.checks["oracle_error"][0] <= together.checks["oracle_error"][1]


def test_the_wired_heads_stand_out_with_their_intervals_and_p_values(
    hand_wired_instrument: Instrument,
) -> None:
    found = patching(hand_wired_instrument, QUESTIONS)
    layer, head = hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head
    assert found.arrays["recovered"].values[layer, head, 0] > 0.9
    assert found.arrays["recovered_low"].values[layer, head, 0] > 0.9
    assert found.arrays["p_value"].values[layer, head, 0] < 0.05
    assert found.ticks["role"] == ("final",)


def test_all_positions_of_a_role_are_patched_together(hand_wired_instrument: Instrument) -> None:
    """The gatherer reads the ordinal in the stem: the residual stream there carries the answer, a label's does not."""
    found = patching(hand_wired_instrument, QUESTIONS, component="resid_pre", positions="all")
    roles = list(found.ticks["role"])
    first = found.arrays["recovered"].values[0]
    assert first[roles.index("stem")] == pytest.approx(1, abs=0.01)
    assert abs(first[roles.index("label 1")]) < 0.01
    assert found.checks["oracle_error"][0] <= found.checks["oracle_error"][1]


def test_questions_that_cannot_be_patched_are_left_out_with_the_reason(
    hand_wired_instrument: Instrument,
) -> None:
    found = patching(
        hand_wired_instrument,
        (*QUESTIONS, Question("pick alpha", ("red", "blue white"), 0, "red")),
        corruption={"kind": "swap_options"},
        positions="final",
    )
    assert found.scalars["count"] == 6
    assert found.scalars["left_out"] == len(found.scalars["reasons"]) == 1


def test_positions_of_one_prompt_are_refused(hand_wired_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match='must be "all"'):
        patching(hand_wired_instrument, QUESTIONS, positions=[3])


def test_what_takes_longer_than_its_budget_is_refused(hand_wired_instrument: Instrument) -> None:
    with pytest.raises(ResourceError, match="Take fewer questions"):
        patching(hand_wired_instrument, QUESTIONS, budget={"seconds": 1e-9})
