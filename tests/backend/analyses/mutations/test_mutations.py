"""Mutations: each entry runs, conditions are those of the head, and what cannot be mutated is left out and told."""

import math
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from backend.analyses import Findings, Task
from backend.analyses.attention.attention_to_right import to_right
from backend.analyses.mutations.mutations import CONDITIONS
from backend.analyses.mutations.schema import MUTATIONS_ANALYSIS
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.questions.mutations import MUTATIONS
from tests import hand_wired, tiny
from tests.backend.analyses.subspace.test_subspace import questions


def found(instrument: Instrument, spec: PromptSpec, count: int, **params: object) -> Findings:
    return of_questions(instrument, spec, questions(count), **params)


def of_questions(
    instrument: Instrument, spec: PromptSpec, asked: tuple[Question, ...], **params: object
) -> Findings:
    letter = hand_wired.CORRECT_LETTER
    chosen = {} if "heads" in params else {"head": [letter.layer, letter.head]}
    request = Request.build("mutations", questions=asked, prompt=spec, params={**chosen, **params})
    MUTATIONS_ANALYSIS.check(request)
    return MUTATIONS_ANALYSIS.run(instrument, Task(request, asked, ((),) * len(asked)), silent)


@pytest.fixture(scope="module")
def qwen() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


@pytest.fixture(scope="module")
def both(qwen: Instrument) -> Findings:
    """Two heads together."""
    return found(qwen, PromptSpec(), 6, heads=[[2, 1], [1, 2]])


def test_every_mutation_runs(qwen: Instrument) -> None:
    result = found(qwen, PromptSpec(), 6)
    assert result.ticks["mutation"] == tuple(MUTATIONS)
    assert result.scalars["left_out"] == []
    shape = (len(MUTATIONS), len(CONDITIONS))
    for name in ("loss", "loss_low", "loss_high", "accuracy"):
        assert result.arrays[name].values.shape == shape
        assert np.isfinite(result.arrays[name].values).all()
    # Fitted under the mutation itself it is the condition.
    own = np.diag(result.arrays["transfer"].values)
    assert own == pytest.approx(
        result.arrays["loss"].values[:, list(CONDITIONS).index("low_rank_qk")], abs=1e-5
    )
    assert "[B] " in result.scalars["mutations"][list(MUTATIONS).index("separators")]["example"]
    value, limit = result.checks["oracle_error"]
    assert value < limit


def test_the_hand_wired_head_and_its_two_mutations(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument, hand_wired.SPEC, 16)
    # It knows no other letters, and its prompt has no prelude.
    assert result.ticks["mutation"] == ("base", "shuffled")
    reasons = {one["name"]: one["reason"] for one in result.scalars["left_out"]}
    assert "does not know the label '1'" in reasons["numbers"]
    assert "no form without a prelude" in reasons["no_prelude"]
    accuracy = dict(zip(CONDITIONS, result.arrays["accuracy"].values[0], strict=True))
    loss = dict(zip(CONDITIONS, result.arrays["loss"].values[0], strict=True))
    assert accuracy["whole"] == accuracy["low_rank_qk"] == accuracy["low_rank_v"] == 1
    for ablated in ("ablated_mean", "ablated_resample", "mean_qk"):
        assert loss[ablated] > loss["whole"] + 0.5
    # It follows the letter: with the letters shuffled it says a wrong one.
    assert result.arrays["accuracy"].values[1, 0] == 0


@pytest.mark.slow
def test_several_heads_together_and_each_alone(qwen: Instrument, both: Findings) -> None:
    assert both.ticks["head"] == ("L1H2", "L2H1")
    for number, head in enumerate(([1, 2], [2, 1])):
        one = found(qwen, PromptSpec(), 6, head=head)
        for name in ("loss", "loss_low", "accuracy_high", "transfer"):
            ours = both.arrays[f"alone_{name}"].values[number]
            assert ours == pytest.approx(one.arrays[name].values, abs=1e-4)
    whole, ablated = (list(CONDITIONS).index(name) for name in ("whole", "ablated_mean"))
    losses, alone = both.arrays["loss"].values, both.arrays["alone_loss"].values
    assert losses[:, whole] == pytest.approx(alone[0, :, whole], abs=1e-5)
    assert not np.allclose(losses[:, ablated], alone[:, :, ablated], atol=1e-3)
    value, limit = both.checks["oracle_error"]
    assert value < limit


def test_where_the_head_looks_under_each_mutation(hand_wired_instrument: Instrument) -> None:
    asked = tuple(hand_wired.question(number % 4) for number in range(8))
    by_letter, by_place = (
        of_questions(instrument, hand_wired.SPEC, asked).arrays
        for instrument in (hand_wired_instrument, Instrument(hand_wired.hand_wired(by_place=True)))
    )
    # As asked both look at the right label; with shuffled labels one stays with the letter, one with the place.
    for arrays, stays in ((by_letter, "letter_share"), (by_place, "right_share")):
        assert arrays["right_share"].values[0] == pytest.approx(arrays["letter_share"].values[0])
        assert arrays["right_share"].values[0] > 0.9
        assert arrays[stays].values[1] > 0.8
        other = ({"letter_share", "right_share"} - {stays}).pop()
        assert arrays[other].values[1] < 0.2
        assert (arrays["right_share_low"].values <= arrays["right_share_high"].values).all()
    assert by_letter["right_top"].values.tolist() == [1, 0]


def test_a_letter_that_some_questions_lack_is_averaged_over_the_others(
    qwen: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []

    def seen(*given: Any) -> Tensor:
        found = to_right(*given)
        shares.append(float(found[1]))
        return found

    monkeypatch.setattr("backend.analyses.mutations.mutations.to_right", seen)
    result = found(qwen, PromptSpec(labels=("2", "3", "4", "5")), 6)
    place = result.ticks["mutation"].index("numbers")
    under = shares[6 * place : 6 * place + 6]
    # Only the fourth question's right label, 5, is not among 1 2 3 4.
    assert sum(math.isnan(share) for share in under) == 1
    mean, low, high = (
        float(result.arrays[f"letter_share{end}"].values[place]) for end in ("", "_low", "_high")
    )
    assert mean == pytest.approx(sum(share for share in under if not math.isnan(share)) / 5, abs=1e-6)
    assert low < mean < high


def test_a_letter_that_is_not_there_gets_no_share(both: Findings) -> None:
    assert "right_share" not in both.arrays
    shares = both.arrays["alone_letter_share"].values
    there = [name in ("base", "shuffled", "separators", "no_prelude") for name in both.ticks["mutation"]]
    assert shares.shape == (2, len(MUTATIONS))
    assert (np.isnan(shares) != np.array(there)).all()
    assert np.isfinite(both.arrays["alone_right_share"].values).all()
