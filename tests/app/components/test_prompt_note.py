"""A question that quotes a control token: the pages say so, and offer to read it as plain text."""

import json

import pytest

from tests.app.fake_client import FakeClient
from tests.app.made_up.parts import QUOTED
from tests.app.opened import notices, opened

PLAIN = json.dumps({"stem": "What is up?", "options": ["a", "b", "c", "d"], "answer": 0})
QUOTING = json.dumps({"stem": f"What is {QUOTED}?", "options": ["a", "b", "c", "d"], "answer": 0})


@pytest.mark.parametrize("page", ["question", "story"])
def test_the_page_tells_it_and_the_switch_is_in_the_address(page: str) -> None:
    client = FakeClient()
    at = opened(page, client, question=QUOTING)
    (told,) = (each for each in notices(at, "warning") if "control tokens" in each)
    assert QUOTED in told
    at.checkbox(key="controls_as_text").check().run()
    assert at.query_params["controls_as_text"] == "True"
    assert not at.exception
    assert not any("control tokens" in each for each in notices(at, "warning"))
    assert any("control tokens" in each for each in notices(at, "quiet"))
    at.checkbox(key="controls_as_text").uncheck().run()
    assert "controls_as_text" not in at.query_params


@pytest.mark.parametrize("page", ["question", "story"])
def test_other_questions_have_no_switch(page: str) -> None:
    at = opened(page, FakeClient(), question=PLAIN)
    assert not [box for box in at.checkbox if box.key == "controls_as_text"]
    assert not any("control tokens" in each for each in notices(at, "warning"))


def test_every_request_of_the_page_carries_it() -> None:
    client = FakeClient(slow=True)
    opened("attribution", client, question=QUOTING, controls_as_text="True")
    assert client.submitted
    assert all(request.prompt.controls_as_text for request in client.submitted)
