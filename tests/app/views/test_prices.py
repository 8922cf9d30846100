"""What takes long waits for a click on its price, and a page that is left leaves its jobs."""

import pytest

from tests.app.fake_client import FakeClient
from tests.app.opened import opened

PRICED = {
    "attribution": "Run the questions",
    "attention": "Run the questions",
    "patching": "Run the exact sweep",
    "effects": "Compute the effects",
    "paths": "Follow the paths",
    "subspace": "Collect queries and keys",
    "model": "Ask the questions",
}


@pytest.mark.parametrize(("page", "text"), PRICED.items())
def test_what_takes_long_waits_for_a_click(page: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = "check-model" if page == "model" else page
    client, params = FakeClient(slow=(analysis,)), {"scope": "bank"} if text == "Run the questions" else {}
    opened(page, client, **params)
    assert [request.analysis for request in client.submitted] == [analysis]
    monkeypatch.setattr("tests.app.made_up.nodes.SECONDS", 20.0)
    at = opened(page, asked := FakeClient(slow=(analysis,)), **params)
    assert asked.submitted == []
    next(button for button in at.button if button.label == f"{text} (about 20 s)").click().run()
    assert [request.analysis for request in asked.submitted] == [analysis]


def test_what_is_saved_has_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.app.made_up.nodes.SECONDS", 20.0)
    assert not any("about" in button.label for button in opened("effects").button)


def test_leaving_a_page_leaves_its_jobs() -> None:
    client = FakeClient(slow=("patching",))
    at = opened("patching", client)
    assert client.cancelled == []
    at.switch_page("app/views/head.py").run()
    assert client.cancelled == ["1"]
    at.switch_page("app/views/patching.py").run()
    assert len(client.submitted) == 2


def test_what_the_next_page_looks_at_too_goes_on() -> None:
    client = FakeClient(slow=("attribution",))
    at = opened("head", client)
    at.switch_page("app/views/paths.py").run()
    assert client.cancelled == []
    assert [request.analysis for request in client.submitted] == ["attribution"]
