"""What every analysis of one head over several questions does with questions and heads that it cannot use."""

from dataclasses import replace

import pytest

from backend.analyses import ANALYSES, Findings, Task
from backend.contract.errors import RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired, tiny
from tests.backend.analyses.subspace.test_subspace import questions

OF_A_HEAD = ("subspace", "compression", "mutations", "swap-test", "key-steering")
FITTED = ("subspace", "compression", "mutations")
SHORT = Question(stem="pick alpha", options=("red", "blue"), answer=0, subject="red")
WRONG = replace(hand_wired.question(0), stem="pick beta")


@pytest.fixture(scope="module")
def tiny_instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def found(
    instrument: Instrument,
    analysis: str,
    asked: tuple[Question, ...],
    spec: PromptSpec = hand_wired.SPEC,
    **params: object,
) -> Findings:
    request = Request.build(analysis, questions=asked, prompt=spec, params={"head": [1, 2], **params})
    ANALYSES[analysis].check(request)
    return ANALYSES[analysis].run(instrument, Task(request, asked, ((),) * len(asked)), silent)


@pytest.mark.parametrize("analysis", OF_A_HEAD)
@pytest.mark.parametrize("head", [[2, 0], [0, 4]])
def test_a_head_that_is_not_there(hand_wired_instrument: Instrument, analysis: str, head: list[int]) -> None:
    with pytest.raises(
        RequestError, match=r"There is no head L.H.: hand-wired has layers 0 to 1 and heads 0 to 3"
    ):
        found(hand_wired_instrument, analysis, questions(8), head=head)


@pytest.mark.parametrize("analysis", OF_A_HEAD)
def test_mixed_option_counts(hand_wired_instrument: Instrument, analysis: str) -> None:
    result = found(hand_wired_instrument, analysis, (*questions(8), SHORT))
    assert result.scalars["kept"] == 8
    told = result.scalars["mutations"][0] if analysis == "mutations" else result.scalars
    assert [one["reason"] for one in told["left_out"]] == ["2 options, not 4 as most of the questions"]


@pytest.mark.sampled
@pytest.mark.parametrize("analysis", OF_A_HEAD)
def test_questions_answered_wrong_are_kept_or_dropped_and_counted(
    hand_wired_instrument: Instrument, analysis: str
) -> None:
    for keep, kept, wrong in (("all", 9, 1), ("right", 8, 0)):
        result = found(hand_wired_instrument, analysis, (*questions(8), WRONG), keep=keep)
        told = result.scalars["mutations"][0] if analysis == "mutations" else result.scalars
        assert (told["kept"], told["wrong"]) == (kept, wrong)
        reasons = [one["reason"] for one in told["left_out"]]
        assert reasons == ([] if keep == "all" else ["the model answers B, not A"])


def test_mutations_are_of_the_same_questions(hand_wired_instrument: Instrument) -> None:
    # With shuffled letters it answers all wrong; those that it answered right as asked are kept.
    result = found(hand_wired_instrument, "mutations", (*questions(8), WRONG), keep="right")
    counted = [(one["name"], one["kept"], one["wrong"]) for one in result.scalars["mutations"]]
    assert counted == [("base", 8, 0), ("shuffled", 8, 8)]


@pytest.mark.parametrize("analysis", FITTED)
def test_no_variance_at_all(hand_wired_instrument: Instrument, analysis: str) -> None:
    # In layer 0 the final query is that of the last token, the same in all prompts.
    with pytest.raises(RequestError, match=r"All queries of L0H1 are the same, .*Use other questions"):
        found(hand_wired_instrument, analysis, questions(8), head=[0, 1])


@pytest.mark.parametrize("analysis", OF_A_HEAD)
def test_too_few_questions_are_told_what_is_needed(hand_wired_instrument: Instrument, analysis: str) -> None:
    with pytest.raises(
        RequestError, match=r"1 question can be used; .* needs at least \d|0 questions can be"
    ):
        found(hand_wired_instrument, analysis, questions(1))


def test_fewer_questions_than_dimensions(tiny_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="a subspace of rank 7 needs at least 9"):
        found(tiny_instrument, "subspace", questions(8), rank=7)
    (note,) = found(tiny_instrument, "compression", questions(8)).scalars["notes"]
    assert note == (
        "Each fit has 4 queries, which span at most 3 dimensions: at a rank of 4 or more some directions are "
        "arbitrary. Rank 4 needs at least 10 questions."
    )
    assert found(tiny_instrument, "compression", questions(10), ranks=[4, 12]).scalars["notes"] == []
    (note,) = found(tiny_instrument, "mutations", questions(6)).scalars["notes"]
    assert "Rank 3 needs at least 8 questions" in note


def test_labels_that_are_not_one_token_under_a_mutation(tiny_instrument: Instrument) -> None:
    words = ("red", "blue", "green", "white", "pick", "a", "b", "c", "d", "e")
    asked = tuple(
        Question("pick", words[turn:] + words[:turn], answer=turn % 10, subject="red") for turn in range(4)
    )
    spec = PromptSpec(template="plain", labels=tuple("ABCDEFGHIJ"))
    result = found(tiny_instrument, "mutations", asked, spec)
    reasons = {one["name"]: one["reason"] for one in result.scalars["left_out"]}
    assert "The label '10' is not one token in this tokenizer" in reasons["numbers"]
    assert "numbers" not in result.ticks["mutation"]
    assert "random_letters" in result.ticks["mutation"]
    assert len(result.arrays["loss"].values) == len(result.ticks["mutation"])
