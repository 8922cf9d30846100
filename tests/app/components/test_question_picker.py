from app.components.question_picker import matching
from backend.contract.model import DEFAULT_MODEL
from tests.app.made_up import BANK
from tests.app.opened import notices, opened


def test_filters_and_search_go_together() -> None:
    assert matching(BANK, "", "", "") == [1, 2, 3, 4, 5]
    assert matching(BANK, "colors", "", "") == [1, 2]
    assert matching(BANK, "", "2", "") == [5]
    assert matching(BANK, "colors", "", "BLUE") == [2]
    assert matching(BANK, "colors", "2", "") == []


def test_search_looks_into_options() -> None:
    assert matching(BANK, "", "", "☝") == [5]


def test_a_filter_goes_to_the_first_question_that_passes() -> None:
    at = opened("question")
    at.selectbox(key="subject").select("plants").run()
    assert at.query_params == {"model": DEFAULT_MODEL, "item": "3", "subject": "plants"}
    at.selectbox(key="subject").select("").run()
    assert at.query_params == {"model": DEFAULT_MODEL, "item": "3"}


def test_a_search_without_a_match_keeps_the_question() -> None:
    at = opened("question", item="2")
    at.text_input(key="search").set_value("zebra").run()
    assert at.query_params == {"model": DEFAULT_MODEL, "item": "2", "search": "zebra"}
    assert at.selectbox(key="item").value == 2
    assert "No question passes these filters. The question chosen before stays." in notices(at, "quiet")
