"""What becomes of a pasted text: a question in the address, or fields to correct it."""

import json

from streamlit.testing.v1 import AppTest

from tests.app.fake_client import FakeClient
from tests.app.opened import ENTRY, notices, opened

PASTED = "Snow is <b>white</b>. What is snow?\nA) black\nB) white\nAnswer: B"


def paste(text: str, **params: str) -> AppTest:
    """The page Story after a paste into its box: what the box's callback does, then the page."""

    def callback() -> None:
        import streamlit as st

        from app.components.story_own import ask_text
        from app.selection import select
        from app.state import current

        client = st.session_state["client"]
        ask_text(st.session_state["pasted"], select(current()[0], client)[0].question)

    at = AppTest.from_function(callback)
    at.session_state["client"] = FakeClient()
    at.session_state["pasted"] = text
    at.query_params = dict(params)
    at.run()
    assert not at.exception
    page = AppTest.from_file(str(ENTRY), default_timeout=20)
    page.session_state["client"] = FakeClient()
    if "draft" in at.session_state:
        page.session_state["draft"] = at.session_state["draft"]
    page.query_params = {
        name: value if isinstance(value, str) else value[0] for name, value in at.query_params.items()
    }
    return page.run()


def test_a_pasted_question_is_asked_at_once() -> None:
    at = paste(PASTED, bank="other", hidden="L1H1")
    asked = json.loads(at.query_params["question"])
    assert asked == {
        "subject": "general knowledge",
        "stem": "Snow is <b>white</b>. What is snow?",
        "options": ["black", "white"],
        "answer": 1,
    }
    assert "hidden" not in at.query_params
    assert notices(at, "lead")[0] == "Snow is <b>white</b>. What is snow?"
    assert notices(at, "lead")[1].startswith("The model says B, white, and that is right.")


def test_without_a_right_option_the_story_is_of_the_letter_said() -> None:
    at = paste(PASTED.removesuffix("\nAnswer: B"))
    assert json.loads(at.query_params["question"])["answer"] is None
    assert "No option is marked as right, so nothing here judges the answer." in notices(at, "quiet")


def test_what_does_not_split_is_shown_as_understood_and_the_address_stays() -> None:
    at = paste("What is snow?\nblack\nwhite", item="2")
    assert "question" not in at.query_params
    assert at.query_params["item"] == "2"
    assert "No options were found." in notices(at, "error")[0]
    assert at.text_area(key="draft stem").value == "What is snow?"
    assert [at.text_input(key=f"draft option {place}").value for place in range(2)] == ["black", "white"]
    assert "What was understood" in [one.label for one in at.expander]
    at.button(key="ask").click().run()
    assert json.loads(at.query_params["question"])["options"] == ["black", "white"]
    assert not notices(at, "error")


def test_a_text_of_no_options_leaves_two_fields_for_them() -> None:
    at = paste("What is snow?")
    assert [at.text_input(key=f"draft option {place}").value for place in range(2)] == ["", ""]


def test_two_options_of_the_same_text_are_told_and_can_be_corrected() -> None:
    at = paste("What is snow? A) white B) white")
    assert "Options 1 and 2 are the same" in notices(at, "error")[0]
    at.text_input(key="draft option 1").set_value("black").run()
    at.button(key="ask").click().run()
    assert json.loads(at.query_params["question"])["options"] == ["white", "black"]


def test_the_model_is_chosen_here_too() -> None:
    at = opened("story")
    at.selectbox(key="model").select("qwen2.5-coder-0.5b").run()
    assert at.query_params["model"] == "qwen2.5-coder-0.5b"
