"""Which letter a page is about: the one said, the right one, or either where they differ."""

import json

import pytest

from backend.contract.corruptions import CORRUPTIONS
from tests.app.fake_client import FakeClient
from tests.app.made_up.parts import MISREAD
from tests.app.opened import notices, opened

UNMARKED = json.dumps({"stem": "Which?", "options": ["a", "b"], "answer": None})
MISREAD_B = json.dumps({"stem": MISREAD + "which?", "options": ["a", "b", "c", "d"], "answer": 1})
OF_A_LETTER = ("attribution", "patching", "effects", "paths", "head")


@pytest.mark.parametrize("page", OF_A_LETTER)
def test_without_a_right_answer_the_page_says_that_it_is_about_the_letter_said(page: str) -> None:
    said = "No option is marked as right: this page is about B, the letter said."
    assert said in notices(opened(page, question=UNMARKED), "quiet")
    assert not any("this page is about" in text for text in notices(opened(page), "quiet"))


@pytest.mark.parametrize("page", OF_A_LETTER)
def test_where_the_model_is_wrong_either_letter_is_explained(page: str) -> None:
    at = opened(page, question=MISREAD_B)
    choice = at.segmented_control(key="about")
    assert choice.options == ["D, which the model says", "B, which is right"]
    assert choice.value == "said"
    choice.select("right").run()
    assert at.query_params["about"] == "right"
    assert not at.exception
    assert "about" not in [control.key for control in opened(page).segmented_control]


@pytest.mark.parametrize(("about", "label", "moved"), [("said", "D", {"label": "D"}), ("right", "B", {})])
@pytest.mark.parametrize("page", ["patching", "effects", "paths"])
def test_both_runs_are_about_the_letter_explained(
    page: str, about: str, label: str, moved: dict[str, str]
) -> None:
    client = FakeClient(slow=(page,))
    opened(page, client, question=MISREAD_B, about=about)
    (request,) = client.submitted
    assert request.params["metric"] == {"kind": "net_logit", "label": label}
    assert request.params["corruption"] == {"kind": "swap_options", **moved}


UNEQUAL = json.dumps({"stem": "Which?", "options": ["whale", "bat", "sea horse"], "answer": 2})


@pytest.mark.parametrize("page", ["patching", "effects", "paths"])
def test_the_first_corruption_that_works_is_taken_and_named(page: str) -> None:
    client = FakeClient(slow=(page,))
    at = opened(page, client, question=UNEQUAL)
    assert not notices(at, "error")
    (request,) = client.submitted
    assert request.params["corruption"] == {"kind": "shuffle_labels"}
    said = "No other option has as many tokens as option C. Taken instead: Labels shuffled."
    assert said in notices(at, "quiet")
    choice = at.selectbox(key="corruption")
    assert choice.value == "shuffle_labels"
    assert choice.options == [one.title for one in CORRUPTIONS.values() if one.name != "swap_options"]
    choice.select("random_letters").run()
    assert client.submitted[-1].params["corruption"] == {"kind": "random_letters"}
    assert said not in notices(at, "quiet")
