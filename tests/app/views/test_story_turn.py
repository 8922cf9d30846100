"""Story, sixth section: the slider, the two ways, the forms of the question, and what their sentences say."""

import json
from pathlib import Path

import pytest

from app.components.story_turn import turn_parts, verdict
from backend.contract.request import Request
from backend.contract.result import Result
from tests import hand_wired
from tests.app.fake_client import FakeClient
from tests.app.made_up.parts import MISREAD
from tests.app.opened import notices, opened, titles
from tests.app.views.test_story import NO_ANSWER, WRONG, as_it_is, chart, numbers, wired

FINAL = "final"
LOOKING = 4.0


class Looking(FakeClient):
    """Every head puts nearly all its attention on the label said, or with `follow` on another place."""

    def __init__(self, *, follow: int | None = None) -> None:
        super().__init__()
        self.follow = follow

    def find(self, request: Request) -> Result | None:
        found = super().find(request)
        if found is None or request.analysis != "attention" or request.question is None:
            return found
        labels, said = found.scalars["labels"], found.scalars["predicted"]
        place = labels.index(said) if self.follow is None else self.follow
        final = found["final"]
        final[:] = 0.001
        final[..., found.scalars["roles"].index(f"label {place}")] = 0.9
        return found


def turns(**params: str) -> list[str]:
    at = opened("story", Looking(), **params)
    assert not at.exception
    assert not notices(at, "error")
    return [text for text in notices(at, "lead") if text.startswith("At strength ")]


def test_the_slider_asks_for_nothing_again_and_is_in_the_address() -> None:
    client = Looking()
    at = opened("story", client, towards="B")
    (before,) = [text for text in notices(at, "lead") if text.startswith("At strength ")]
    assert ", and the model still says A." in before
    at.select_slider(key="strength").set_value(3.0).run()
    assert at.query_params["strength"] == "3.0"
    (after,) = [text for text in notices(at, "lead") if text.startswith("At strength 3 ")]
    assert ", and the model says B instead of A." in after
    assert not client.submitted
    assert any(
        text
        == "Of the strengths tried the letter first turns, to B, at 2. A random direction as long does not "
        "turn it up to 12."
        for text in notices(at, "quiet")
    )


def test_the_query_turns_it_otherwise_and_the_label_can_be_chosen() -> None:
    (told,) = turns(way="query", towards="C", strength="1")
    assert "attention to C goes from " in told
    assert ", and the model says C instead of A." in told


@pytest.mark.parametrize("question", [WRONG, NO_ANSWER])
def test_a_wrong_or_unmarked_question_is_turned_from_the_letter_said(question: str) -> None:
    (told,) = turns(question=question, strength="4")
    assert told.endswith("instead of C.")


def test_a_label_that_is_said_already_or_unknown_is_not_turned_to() -> None:
    (told,) = turns()
    assert "attention to A" not in told
    assert turns(towards="A") == turns(towards="Z") == [told]


def test_a_head_that_never_turns_the_letter_is_told_with_the_strongest_tried() -> None:
    class Never(Looking):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is not None and request.analysis == "turn":
                found["label_logits"][:] = found["label_logits_model"]
                found["label_logits_at_all"][:] = found["label_logits_model"]
            return found

    at = opened("story", Never(), strength="12", towards="B")
    assert any(
        text.startswith(
            "The letter never turns up to strength 12, the strongest tried. Nor does it with all of the head's "
            "attention on B: others hold it."
        )
        for text in notices(at, "quiet")
    )
    assert any(", and the model still says A." in text for text in notices(at, "lead"))


def test_where_no_writing_head_looks_at_a_label_none_is_turned() -> None:
    class Elsewhere(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is not None and request.analysis == "attention":
                found["final"][:] = 0
                found["final"][..., 0] = 1
            return found

    client = Elsewhere()
    at = opened("story", client)
    assert "None of the heads that write the letter looks at a label, so none can be turned." in notices(
        at, "quiet"
    )
    assert "The letters, with one head turned" not in titles(at)


def test_turning_waits_for_a_click_where_it_takes_long() -> None:
    class Slow(Looking):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is not None and request.analysis == "cost":
                return None if found is None else _costly(found)
            return None if request.analysis == "turn" else found

    client = Slow()
    at = opened("story", client)
    assert "turn" not in [request.analysis for request in client.submitted]
    (button,) = [one for one in at.button if one.label.startswith("Turn L")]
    assert "about 24 s" in button.label
    button.click().run()
    assert client.submitted[-1].analysis == "turn"


def _costly(found: Result) -> Result:
    found.scalars["expected_seconds"] = 24.0  # type: ignore[index]
    return found


def test_with_options_swapped_heads_follow_the_content_or_stay() -> None:
    at = opened("story", Looking(), variant="swapped", towards="B")
    (told,) = [text for text in notices(at, "lead") if text.startswith("With options A and B swapped")]
    assert "the model says B, red: the same option as before." in told
    assert told.endswith("the content.")
    # The made-up heads look at the letter said; here they stay where they were.
    stays = opened("story", Looking(follow=0), variant="swapped", towards="B")
    (told,) = [text for text in notices(stays, "lead") if text.startswith("With options A and B swapped")]
    assert told.endswith("place and letter.")


def test_with_letters_moved_on_heads_follow_the_letter_or_stay() -> None:
    at = opened("story", Looking(follow=3), question=json.dumps(_fourth()), variant="letters")
    assert not at.exception
    lead = [text for text in notices(at, "lead") if text.startswith("With each letter moved up")]
    assert len(lead) == 1
    at = opened("story", Looking(), variant="letters")
    (told,) = [text for text in notices(at, "lead") if text.startswith("With each letter moved up")]
    assert "the model says B, red: the same option as before." in told
    assert told.endswith("content and place.")


def _fourth() -> dict[str, object]:
    return {"stem": f"{MISREAD}what?", "options": ["up", "down", "left", "right"], "answer": 0}


def test_the_curve_has_the_figures_of_the_result() -> None:
    at = opened("story", Looking())
    curve = chart(at, "The letters, with one head turned")
    values = numbers(curve["y"])
    assert len(values) == 13
    assert values[0] > 0.9
    assert values[-1] < 0.1


def test_the_wired_head_turns_its_letter_and_the_query_does_not(tmp_path: Path) -> None:
    at = wired(tmp_path, as_it_is, hand_wired.question(1))
    (told,) = [text for text in notices(at, "lead") if text.startswith("At strength 1 L1H2's attention to ")]
    assert "goes from " in told
    (quiet,) = [text for text in notices(at, "quiet") if text.startswith("Of the strengths tried")]
    assert " A random direction as long turns it at " in quiet
    at.button_group(key="way").set_value("query").run()
    (quiet,) = [text for text in notices(at, "quiet") if text.startswith("The letter never turns up to")]
    assert "With all of the head's attention on " in quiet


def test_the_parts_and_the_verdict_are_of_one_result() -> None:
    result = FakeClient().find(
        Request.build("turn", question=hand_wired.question(1), params={"head": [3, 2], "to": "D"})
    )
    assert result is not None
    at = [float(one) for one in result["strength"]].index(1.5)
    assert "".join(turn_parts(result, "query", at)).endswith("the model says D instead of B.")
    assert verdict(result, "query") == "Of the strengths tried the letter first turns, to D, at 1."
