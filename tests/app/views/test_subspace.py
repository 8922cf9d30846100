"""The Subspace page: what it asks for, what it says, and where its table leads."""

import json
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.figures.subspace_points import COLOURINGS
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Result
from tests.app.fake_client import FakeClient
from tests.app.made_up import BANK
from tests.app.opened import notices, opened, titles


class Asked(FakeClient):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Request] = []

    def find(self, request: Request) -> Result | None:
        self.asked.append(request)
        return super().find(request)


def layout(at: AppTest) -> dict[str, Any]:
    (spec,) = (
        json.loads(chart.proto.spec)
        for chart in at.get("plotly_chart")
        if "scene" in json.loads(chart.proto.spec)["layout"]
    )
    return dict(spec["layout"])


def test_every_colouring_has_its_words() -> None:
    for colour in COLOURINGS:
        captions = " ".join(caption.value for caption in opened("subspace", colour=colour).caption)
        assert "are coloured by" in captions


def test_the_strongest_head_is_asked_about_over_the_bank() -> None:
    client = FakeClient(slow=("subspace",))
    opened("subspace", client, bank="other", limit="20")
    (request,) = client.submitted
    assert request.params == {"head": [3, 2], "stacked": True}
    assert request.to_json()["questions"]["bank"] == "other"


def test_which_vectors_are_collected_is_asked_for() -> None:
    client = FakeClient(slow=("subspace",))
    at = opened("subspace", client, at="newline", keep="right", rotated="True", stacked="False")
    (request,) = client.submitted
    assert request.params == {
        "head": [3, 2],
        "at": "newline",
        "keep": "right",
        "rotated": True,
        "stacked": False,
    }
    at.selectbox(key="at").select("bracket").run()
    assert at.query_params["at"] == "bracket"
    assert client.submitted[1].params["at"] == "bracket"


def test_compression_is_of_the_same_questions_and_places() -> None:
    client = FakeClient(slow=("compression",))
    at = opened("subspace", client, at="newline", keep="right", rotated="True")
    next(button for button in at.button if button.label == "Compress and run (about 2 min)").click().run()
    assert client.submitted[0].params == {"head": [3, 2], "at": "newline", "keep": "right"}


def test_products_are_drawn_and_told() -> None:
    def told(**params: str) -> str:
        return " ".join(notices(opened("subspace", products="True", **params), "plain"))

    assert "largest for the right label's key on 100% of questions" in told()
    assert "not yet what attention compares" in told()
    assert "Scaled, the product is what attention compares." in told(rotated="True")
    assert layout(opened("subspace", products="True"))["scene"]["aspectmode"] == "data"
    assert layout(opened("subspace"))["scene"]["aspectmode"] == "cube"


def test_a_mutation_is_one_more_request() -> None:
    client = Asked()
    at = opened("subspace", client, also="numbers", keep="right", template="plain")
    client.asked.clear()
    at.multiselect(key="also").select("shuffled").run()
    assert at.query_params["also"] == "numbers,shuffled"
    _, numbers, shuffled = dict.fromkeys(
        request for request in client.asked if request.analysis == "subspace"
    )
    assert numbers.prompt.labels == ("1", "2", "3", "4")
    assert set(shuffled.prompt.labels) == set("ABCD")
    assert all(label != usual for label, usual in zip(shuffled.prompt.labels, "ABCD", strict=True))
    for request in (numbers, shuffled):
        assert request.params == {"head": [3, 2], "keep": "right", "stacked": True}
        assert request.prompt.template == "plain"


def test_a_mutation_is_drawn_for_the_questions_that_are_used() -> None:
    client = Asked()
    client.banked["copy-colors"] = (Question("Which is last?", tuple("uvwxy"), 4), *BANK)
    opened("subspace", client, also="shuffled")
    _, shuffled = dict.fromkeys(request for request in client.asked if request.analysis == "subspace")
    labels = shuffled.prompt.labels
    assert set(labels[:4]) == set("ABCD")
    assert labels[4:] == ("E",)


def test_a_mutation_that_changes_nothing_is_told_and_not_drawn() -> None:
    at = opened("subspace", labels="1", also="numbers")
    assert "numbers: It changes nothing here." in notices(at, "warning")
    assert not any(text.startswith("Under ") for text in notices(at, "plain"))


def test_what_a_mutation_leaves_in_place_is_told() -> None:
    at = opened("subspace", also="shuffled,numbers")
    letters, numbers = (text for text in notices(at, "plain") if text.startswith("Under "))
    assert letters.startswith(
        "Under shuffled labels, over 5 questions, 100% of the queries and 100% of the keys"
    )
    assert letters.endswith("to those of the same letter, 0% and 0%.")
    assert numbers.endswith("in the prompts as they are.")


def test_a_mutation_that_does_not_exist_here_is_told() -> None:
    at = opened("subspace", also="no_prelude", template="plain")
    assert any("no form without a prelude" in text for text in notices(at, "warning"))
    told = " ".join(notices(opened("subspace", also="numbers,numbers"), "warning"))
    assert "at most 3 different mutations" in told
    assert "must be one of random_letters" in " ".join(notices(opened("subspace", also="x"), "warning"))


def test_the_lead_holds_the_control_too() -> None:
    at = opened("subspace")
    assert notices(at, "lead")[0] == (
        "A linear classifier that reads three components of L3H2's query finds the right letter on 95% of questions "
        "that it was not fitted to; with the letters dealt at random, on 24%."
    )
    assert any("1 left out, the first because of: 3 options, not 4" in text for text in notices(at, "quiet"))
    assert any(
        "over 5 questions, of which the model answers 3 wrong" in text for text in notices(at, "quiet")
    )
    assert titles(at)[0] == "L3H2's queries and keys"


def test_the_scene_shows_the_chosen_components() -> None:
    at = opened("subspace", x="4", z="1", means="True")
    axes = [layout(at)["scene"][f"{axis}axis"]["title"]["text"] for axis in "xyz"]
    assert axes == ["component 4", "component 2", "component 1"]
    at.selectbox(key="y").select(3).run()
    assert at.query_params["y"] == "3"
    options = at.selectbox(key="y").options
    assert "component 3" in options
    assert "component 4" not in options


def test_impossible_components_are_told() -> None:
    for params in ({"x": "99"}, {"x": "2"}):
        at = opened("subspace", **params)
        assert any("three different components from 1 to 6" in text for text in notices(at, "warning"))
        assert layout(at)["scene"]["xaxis"]["title"]["text"] == "component 1"


def test_a_control_changes_the_picture_and_not_its_view() -> None:
    at = opened("subspace")
    at.session_state["camera scene"] = {"eye": {"x": 0.1, "y": 2.0, "z": 0.3}}
    at.selectbox(key="colour").select("subject").run()
    assert at.query_params["colour"] == "subject"
    assert layout(at)["scene"]["camera"]["eye"] == {"x": 0.1, "y": 2.0, "z": 0.3}


def test_the_table_holds_the_questions() -> None:
    table = opened("subspace").dataframe[0].value
    assert list(table.columns) == ["right", "says", "question", "subject"]
    assert table["question"].iloc[4] == "Where is <b>up</b>?"
    assert table["says"].iloc[0] == "A ✓"


def test_compression_waits_for_its_button() -> None:
    client = FakeClient(slow=("compression",))
    at = opened("subspace", client)
    assert client.submitted == []
    next(button for button in at.button if button.label == "Compress and run (about 2 min)").click().run()
    assert [request.analysis for request in client.submitted] == ["compression"]


def test_what_three_dimensions_keep() -> None:
    assert notices(opened("subspace"), "lead")[1] == (
        "With 3 dimensions the loss is 0.220 nats; with the whole head it is 0.200, with the head at its mean 0.600. "
        "So they keep 95% of what the head contributes."
    )


class Chance(FakeClient):
    """Has a head whose ablation costs nothing that is told apart from 0."""

    def find(self, request: Request) -> Result | None:
        result = super().find(request)
        if result is None or request.analysis != "compression":
            return result
        return replace(result, scalars={**result.scalars, "kept_share": None})


def test_no_share_is_told_of_what_may_be_chance() -> None:
    assert notices(opened("subspace", Chance()), "lead")[1].endswith(
        "So taking the head away costs nothing that can be distinguished from chance, and this says little "
        "about its dimensions."
    )


def test_on_which_questions_compression_rests() -> None:
    assert (
        "Over 5 questions, of which the model answers 1 wrong; 1 left out, the first because of: 3 options, not 4 as "
        "most of the questions.\nEach fit has 2 queries."
    ) in notices(opened("subspace"), "quiet")


def test_a_head_leads_here() -> None:
    links = [link.proto for link in opened("head", head="L1H3").get("page_link")]
    (link,) = (link for link in links if link.label == "What does this head compare?")
    assert "head=L1H3" in link.query_string


@pytest.mark.parametrize("page", ["subspace", "mutations", "attribution", "attention", "effects"])
def test_questions_without_right_answers_are_refused_in_words(page: str) -> None:
    client = FakeClient()
    client.banked["other"] = tuple(replace(question, answer=None) for question in BANK)
    app = opened(page, client, bank="other", scope="bank", head="L1H2")
    assert not app.exception
    assert any("without a right answer cannot be averaged" in told for told in notices(app, "error"))
