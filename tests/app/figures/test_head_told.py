"""The sentences about one head, and its bars, from a made-up atlas."""

import numpy as np

from app.figures.atlas import halves_of, verdicts_of
from app.figures.head_bank import kind_bars, letter_bars
from app.figures.head_told import elsewhere_told, head_told
from backend.contract.head import HeadRef
from backend.contract.request import QuestionSet, Request
from backend.results.head_classes import Thresholds
from tests.app.made_up import made_up

RESULT = made_up(Request.build("heads", questions=QuestionSet("knowledge", 24)))
VERDICTS = verdicts_of(RESULT, "all", Thresholds())


def test_the_sentences_are_the_figures() -> None:
    told = head_told(RESULT, HeadRef(3, 2), VERDICTS)
    assert told.startswith("L3H2, over 24 questions, has the class correct letter: it looks most at: ")
    assert "gives 90% to labels" in told
    assert "It writes 0.50 logits for the right letter." in told
    assert "L0H0, over 24 questions, has no class" in head_told(RESULT, HeadRef(0, 0), VERDICTS)
    assert "It writes 0.30 logits against the right letter." in head_told(RESULT, HeadRef(5, 3), VERDICTS)


def test_without_effects_it_says_so() -> None:
    request = Request.build("heads", questions=QuestionSet("knowledge", 24), params={"effects": False})
    result = made_up(request)
    told = head_told(result, HeadRef(1, 3), verdicts_of(result, "all", Thresholds()))
    assert told.endswith("Its effects are not known.")


def test_what_it_does_elsewhere() -> None:
    told = elsewhere_told(RESULT, HeadRef(3, 2))
    assert told.startswith("Outside the task, of its attention: ")
    assert told.endswith("to the markers of a list (18% if attention were spread evenly).")


def test_halves_are_two_samples() -> None:
    first, second = halves_of(RESULT, "right")
    assert first["net"].value.shape == second["net"].value.shape == (6, 4)


def test_bars_have_a_kind_or_a_letter_each() -> None:
    kinds, letters = kind_bars(RESULT, HeadRef(3, 2)), letter_bars(RESULT, HeadRef(3, 2))
    assert len(kinds.data[0].y) == len(kinds.data[0].x)
    assert [trace.name for trace in letters.data] == ["where it is right", "where another is right"]
    assert np.allclose(letters.data[0].y, RESULT["net_right"][:, 3, 2])
