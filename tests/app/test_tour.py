"""The tour: every address opens, and shows what its two sentences say."""

import pytest
from streamlit.testing.v1 import AppTest

from app.state import read
from app.tour import STRONGEST, Step, tour
from backend.contract.head import HeadRef
from backend.contract.model import DEFAULT_MODEL
from tests.app.opened import notices, opened, titles

STEPS = tour(DEFAULT_MODEL)


def page_of(step: Step) -> str:
    return step.page.removeprefix("app/views/").removesuffix(".py")


def visited(step: Step) -> AppTest:
    at = opened(page_of(step), **step.params)
    assert not at.exception
    assert not notices(at, "error")
    assert not notices(at, "warning")
    return at


@pytest.mark.parametrize("model", [*STRONGEST, "some/other"])
def test_all_that_is_in_an_address_is_known(model: str) -> None:
    for step in tour(model):
        chosen, problems = read(step.params)
        assert not problems
        assert chosen.model == (model if model in STRONGEST else DEFAULT_MODEL)
        assert len(step.says) == 2
        assert all(one.endswith((".", "?")) for one in step.says)
    heads = {read(step.params)[0].head for step in tour(model)}
    assert heads == {None, HeadRef.parse(STRONGEST.get(model, STRONGEST[DEFAULT_MODEL]))}


# The made-up model has six layers of four heads, so heads of real models are checked for by name only.
def test_the_first_step_tells_the_story_of_the_typed_question() -> None:
    at = visited(STEPS[0])
    assert notices(at, "lead")[0] == "Which of these animals has feathers?"
    assert any("parrot" in text for text in notices(at, "lead")[1:])


@pytest.mark.parametrize(
    ("number", "heading", "picture"),
    [
        (1, "One head", ""),
        (2, "What does this head compare?", ""),
        (3, "Place or letter?", ""),
        (4, "The model", ""),
    ],
)
def test_the_other_steps_open_their_pages(number: int, heading: str, picture: str) -> None:
    step = STEPS[number]
    head = "L3H2"  # the strongest head of the made-up model
    params = step.params | ({"head": head} if "head" in step.params else {})
    at = visited(Step(step.title, step.page, params, step.says))
    assert at.title[0].value == heading
    if "head" in step.params:
        assert any(
            head in text for text in (*titles(at), *notices(at, "lead"), *(one.value for one in at.subheader))
        )


def test_the_story_offers_the_tour_with_all_sentences() -> None:
    at = opened("story")
    links = {one.proto.label: one.proto for one in at.get("page_link")}
    captions = [one.value for one in at.caption]
    for number, step in enumerate(STEPS, start=1):
        link = links[f"{number}. {step.title}"]
        assert link.page == ("" if page_of(step) == "story" else page_of(step))
        assert " ".join(step.says) in captions
