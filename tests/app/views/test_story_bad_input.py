"""Story, given what it was not made for: a clear text, no traceback, and no number that was not computed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Result
from tests import hand_wired
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened, titles
from tests.app.views.test_story import wired


def asked(*options: str, stem: str = "What?", answer: int | None = 0) -> str:
    return json.dumps({"stem": stem, "options": options, "answer": answer})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("up", "up"), "Options 1 and 2 are the same, 'up'. Make each option different."),
        (("up",), "A question has 2 to 10 options; this one has 1."),
        ((), "A question has 2 to 10 options; this one has 0."),
        (tuple("abcdefghijk"), "A question has 2 to 10 options; this one has 11."),
    ],
)
def test_an_address_that_holds_no_question_is_told_and_the_first_is_shown(
    options: tuple[str, ...], told: str
) -> None:
    at = opened("story", question=asked(*options))
    assert not at.exception
    (warned,) = notices(at, "warning")
    assert told in warned
    assert notices(at, "lead")[0] == "Which is red?"


def test_ten_options_are_told_to_the_end() -> None:
    at = opened("story", question=asked(*"qrstuvwxyz", answer=9))
    assert not at.exception
    assert not notices(at, "error")
    told = notices(at, "lead")
    assert told[1].startswith("The model says J, z, and that is right.")
    assert "In all 10 orders of the options it says z, whichever letter that has" in told[2]


def test_two_options_have_one_other_order_and_one_other_letter() -> None:
    at = opened("story", question=asked("up", "down"), variant="letters")
    assert not at.exception
    assert not notices(at, "error")
    assert any(
        text.startswith("With each letter moved up by one option the model says ")
        for text in notices(at, "lead")
    )


@pytest.mark.parametrize("variant", ["swapped", "letters"])
@pytest.mark.parametrize("answer", [0, None])
def test_another_form_needs_no_right_option(variant: str, answer: int | None) -> None:
    at = opened("story", question=asked("up", "down", "left", answer=answer), variant=variant)
    assert not at.exception
    assert not notices(at, "error")
    assert any(text.startswith("With ") and "as before." in text for text in notices(at, "lead"))


def test_a_model_at_chance_is_told_to_be() -> None:
    class Even(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is not None and request.analysis == "prediction":
                found["label_probs"][:] = np.array([0.26, 0.25, 0.25, 0.24], np.float32)
            return found

    at = opened("story", Even())
    assert not at.exception
    assert notices(at, "lead")[1].endswith(
        "Among the letters this has 26.0%, hardly more than chance (25.0%)."
    )


def test_a_wired_model_that_writes_no_letter_tells_no_cause(tmp_path: Path) -> None:
    def nearly_silent(model: Any) -> None:
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= 1e-3

    at = wired(tmp_path, nearly_silent, hand_wired.question(1))
    told = notices(at, "lead")
    assert any("hardly more than chance (25.0%)" in text for text in told)
    assert any(text.startswith("The letters are nearly tied: ") for text in told)
    assert not any(text.startswith(("One head does", "No head does")) for text in told)


class Priced(FakeClient):
    """Nothing is saved, and everything takes a minute."""

    def find(self, request: Request) -> Result | None:
        found = super().find(request)
        if found is None or request.analysis != "cost":
            return None
        return replace(found, scalars={**found.scalars, "expected_seconds": 60.0})


def test_a_prompt_of_thousands_of_tokens_waits_for_a_click() -> None:
    client = Priced()
    at = opened("story", client, question=asked("up", "down", stem="word " * 4000))
    assert not at.exception
    assert not client.submitted
    (button,) = [one for one in at.button if one.label == "Ask the model (about 60 s)"]
    button.click().run()
    assert [one.analysis for one in client.submitted] == ["prediction"]


def test_a_short_prompt_is_asked_at_once() -> None:
    client = Priced()
    opened("story", client, question=asked("up", "down"))
    assert [one.analysis for one in client.submitted] == ["prediction"]


def test_an_unknown_head_way_or_form_in_the_address_is_told() -> None:
    at = opened("story", way="value", variant="upside", strength="many", hidden="head 7")
    assert not at.exception
    (warned,) = notices(at, "warning")
    for name in ("way", "variant", "strength"):
        assert f"{name} must be" in warned
    assert "The letters, with one head turned" in titles(at) or notices(at, "lead")


def test_a_question_is_swapped_with_its_right_option() -> None:
    question = Question("What?", ("a", "b", "c"), 1)
    assert question.swapped(1, 2) == Question("What?", ("a", "c", "b"), 2)
    assert question.swapped(0, 2) == Question("What?", ("c", "b", "a"), 1)
    assert replace(question, answer=None).swapped(0, 1).answer is None
