"""Sets of heads and MLPs: on the circuit that was wired by hand, and against plain hooks."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.circuit.schema import EFFECTS
from backend.analyses.sufficiency.schema import SUFFICIENCY
from backend.contract.errors import LetterheadsError, RequestError
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTIONS = tuple(hand_wired.question(number % 4) for number in range(8))
SHUFFLED = {"kind": "question", "question": hand_wired.question(3).to_json()}
WIRED = [str(hand_wired.GATHERER), str(hand_wired.CORRECT_LETTER)]


def sufficiency(instrument: Instrument, count: int = 8, **params: object) -> Findings:
    asked = tuple(hand_wired.question(number % 3) for number in range(count))
    request = Request.build(
        "sufficiency",
        questions=asked,
        prompt=hand_wired.SPEC,
        params={"corruption": SHUFFLED, "random": 3, **params},
    )
    return SUFFICIENCY.run(instrument, Task(request, asked, ((),) * count), silent)


def curve(found: Findings, name: str) -> list[float]:
    return np.round(found.arrays[name].values, 2).tolist()


@pytest.fixture(scope="module")
def wired() -> Findings:
    return sufficiency(Instrument(hand_wired.hand_wired()), sizes=[1, 2, 4])


def test_the_two_wired_heads_suffice_and_are_named_first(wired: Findings) -> None:
    assert sorted(wired.scalars["nodes"][:2]) == WIRED
    assert curve(wired, "sufficiency")[1] == pytest.approx(1, abs=0.03)
    assert wired.scalars["smallest"]["size"] == 2
    assert sorted(wired.scalars["smallest"]["nodes"]) == WIRED
    assert np.nanmax(wired.arrays["random_sufficiency"].values[:2]) < 0.1


def test_each_of_them_is_necessary_alone_so_that_single_effects_sum_to_twice_the_whole(
    wired: Findings,
) -> None:
    assert curve(wired, "necessity")[:2] == pytest.approx([1, 1], abs=0.03)
    assert curve(wired, "singles")[1] == pytest.approx(2, abs=0.05)


def test_live_and_fixed_differ_where_a_head_acts_through_another(wired: Findings) -> None:
    """The letter head alone: live it reads what the replaced gatherer left; fixed it says its own clean letter."""
    instrument = Instrument(hand_wired.hand_wired())
    alone = sufficiency(instrument, nodes=[WIRED[1]])
    assert curve(alone, "sufficiency") == pytest.approx([0], abs=0.05)
    assert curve(alone, "sufficiency_fixed") == pytest.approx([1], abs=0.05)
    assert alone.scalars["sorted_on"] == 0
    assert alone.scalars["count"] == 8
    assert alone.scalars["smallest"] is None
    assert np.isnan(alone.arrays["effect"].values).all()


def test_a_set_of_ones_own_held_out_has_the_share_of_the_curve(
    wired: Findings, hand_wired_instrument: Instrument
) -> None:
    own = sufficiency(hand_wired_instrument, nodes=wired.scalars["nodes"][:2], held_out=True)
    assert own.scalars["count"] == wired.scalars["count"] == 3
    for name in ("sufficiency", "sufficiency_fixed", "necessity"):
        np.testing.assert_allclose(own.arrays[name].values[0], wired.arrays[name].values[1], atol=1e-6)


def test_the_checks_compare_with_whole_passes_and_with_the_corrupted_run(wired: Findings) -> None:
    for error, limit in wired.checks.values():
        assert error <= limit


def test_the_order_by_total_effect_is_that_of_the_effects_analysis(hand_wired_instrument: Instrument) -> None:
    found = sufficiency(hand_wired_instrument, sizes=[4])
    asked = tuple(hand_wired.question(number % 3) for number in range(8))[:1]
    request = Request.build(
        "effects", question=asked[0], prompt=hand_wired.SPEC, params={"corruption": SHUFFLED}
    )
    single = EFFECTS.run(hand_wired_instrument, Task(request, asked, ((),)), silent)
    total = single.arrays["heads_total"].values[0]
    top = {f"L{layer}H{head}" for layer, head in np.argwhere(np.abs(total) > 0.2)}
    assert top == {*found.scalars["nodes"][:2]}
    effects = np.abs(found.arrays["effect"].values)
    assert all(first >= second for first, second in pairwise(effects))
    assert found.arrays["cumulative"].values[-1] <= 1


@pytest.mark.parametrize("order", ["total", "direct", "attribution"])
@pytest.mark.parametrize("replacement", ["resample", "mean"])
def test_every_order_finds_the_letter_head(
    hand_wired_instrument: Instrument, order: str, replacement: str
) -> None:
    """By direct effect or attribution it is the only one: the gatherer writes for no letter."""
    found = sufficiency(hand_wired_instrument, order=order, replacement=replacement, sizes=[1, 2])
    assert WIRED[1] in found.scalars["nodes"][: 2 if order == "total" else 1]
    first, second = np.abs(found.arrays["effect"].values)
    assert (second > 0.5 * first) == (order == "total")
    assert found.checks["oracle_error"][0] <= found.checks["oracle_error"][1]


def test_a_mean_over_questions_with_the_same_right_letter_keeps_the_letter(
    hand_wired_instrument: Instrument,
) -> None:
    with pytest.raises(RequestError, match="there is nothing to recover"):
        sufficiency(hand_wired_instrument, replacement="mean_by_letter")


def test_keeping_everything_is_the_clean_run(hand_wired_instrument: Instrument) -> None:
    nodes = hand_wired_instrument.shape.layers * (hand_wired_instrument.shape.heads + 1)
    found = sufficiency(hand_wired_instrument, sizes=[nodes])
    assert curve(found, "sufficiency") == curve(found, "necessity") == [1.0]
    clean = torch.from_numpy(found.arrays["values_clean"].values)
    torch.testing.assert_close(torch.from_numpy(found.arrays["values_live"].values[:, 0]), clean)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"sizes": [400]}, "A set of 400 nodes is too large: the model has 10"),
        ({"nodes": ["L9H0"]}, "There is no L9H0: hand-wired has layers 0 to 1"),
        ({"nodes": [{"mlp": 7}]}, "There is no MLP 7"),
        (
            {"corruption": {"kind": "question", "question": QUESTIONS[0].to_json()}},
            "None of the questions|nothing to",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(
    hand_wired_instrument: Instrument, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(LetterheadsError, match=told):
        sufficiency(hand_wired_instrument, **({"count": 1} if "corruption" in params else {}), **params)


def test_one_question_cannot_be_both_sorted_and_scored_on(hand_wired_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="Take more questions"):
        sufficiency(hand_wired_instrument, count=1)
