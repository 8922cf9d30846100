import json

import pytest
from streamlit.testing.v1 import AppTest

from backend.contract.question import Question
from tests.app.opened import notices, opened


def editing() -> AppTest:
    at = opened("question")
    return at.segmented_control(key="source").set_value("Your own").run()


def test_it_begins_with_the_question_in_hand() -> None:
    at = editing()
    assert at.text_area(key="draft stem").value == "Which is red?"
    assert at.text_input(key="draft option 1").value == "up"


def test_what_is_asked_is_in_the_address() -> None:
    at = editing()
    at.text_area(key="draft stem").set_value("Which way?").run()
    at.button(key="add option").click().run()
    at.text_input(key="draft option 4").set_value("back").run()
    at.button(key="right 4").click().run()
    at.button(key="ask").click().run()
    asked = Question.from_json(json.loads(at.query_params["question"]))
    assert asked == Question("Which way?", ("red", "up", "down", "left", "back"), 4)
    assert notices(at, "error") == []


@pytest.mark.parametrize(("field", "text"), [("draft stem", "Which is blue?"), ("draft option 2", "blue")])
def test_another_text_has_another_right_option_and_subject(field: str, text: str) -> None:
    at = editing()
    (at.text_area if "stem" in field else at.text_input)(key=field).set_value(text).run()
    assert at.button(key="no answer").disabled
    at.button(key="ask").click().run()
    asked = Question.from_json(json.loads(at.query_params["question"]))
    assert asked.answer is None
    assert asked.subject == Question.subject


def test_what_was_chosen_for_this_text_stays() -> None:
    at = editing()
    at.text_input(key="draft subject").set_value("paint").run()
    at.button(key="right 2").click().run()
    at.text_area(key="draft stem").set_value("Which is green?").run()
    at.text_input(key="draft option 2").set_value("green").run()
    at.button(key="ask").click().run()
    asked = Question.from_json(json.loads(at.query_params["question"]))
    assert asked == Question("Which is green?", ("red", "up", "green", "left"), 2, "paint")
    # The question that was asked is where the next one starts.
    at.text_area(key="draft stem").set_value("Which is yellow?").run()
    at.button(key="ask").click().run()
    assert Question.from_json(json.loads(at.query_params["question"])).answer is None


def test_an_unusable_draft_stays_with_its_reason() -> None:
    at = editing()
    before = at.query_params["question"]
    at.text_area(key="draft stem").set_value(" ").run()
    at.text_input(key="draft option 0").set_value("<b>kept</b>").run()
    at.button(key="ask").click().run()
    assert notices(at, "error") == ["The question is empty. Write some text."]
    assert at.text_input(key="draft option 0").value == "<b>kept</b>"
    assert at.query_params["question"] == before


def test_removing_an_option_keeps_the_right_one_right() -> None:
    at = editing()
    at.button(key="right 2").click().run()
    at.button(key="remove 0").click().run()
    at.button(key="ask").click().run()
    asked = Question.from_json(json.loads(at.query_params["question"]))
    assert asked.answer is not None
    assert asked.options[asked.answer] == "down"


def test_two_options_are_the_least() -> None:
    at = editing()
    at.button(key="remove 0").click().run()
    at.button(key="remove 0").click().run()
    assert at.button(key="remove 0").disabled


def test_an_own_question_comes_back_after_a_look_at_a_bank() -> None:
    at = editing()
    at.text_area(key="draft stem").set_value("Which way?").run()
    at.button(key="ask").click().run()
    own = at.query_params["question"]
    at.segmented_control(key="source").set_value("From a bank").run()
    at.segmented_control(key="source").set_value("Your own").run()
    assert at.query_params["question"] == own
    assert at.text_area(key="draft stem").value == "Which way?"


def test_back_to_the_bank() -> None:
    at = editing()
    at.segmented_control(key="source").set_value("From a bank").run()
    assert "question" not in at.query_params
