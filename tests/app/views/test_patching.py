"""The patching page: what it asks for, and which pictures it draws of what comes back."""

import pytest

from app import patching_names
from backend.analyses.corruptions import KINDS
from backend.analyses.metrics import METRICS
from backend.analyses.patching import DIRECTIONS
from backend.engine.sweep import COMPONENTS
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened, titles


def test_the_page_offers_what_the_backend_has() -> None:
    assert patching_names.CORRUPTIONS.keys() == KINDS.keys()
    assert patching_names.COMPONENTS.keys() == COMPONENTS.keys()
    assert patching_names.METRICS.keys() == METRICS.keys()
    assert tuple(patching_names.DIRECTIONS) == DIRECTIONS
    without = {name for name, component in COMPONENTS.items() if component.heads == "none"}
    assert set(patching_names.WITHOUT_HEADS) == without


@pytest.mark.parametrize("component", patching_names.COMPONENTS)
@pytest.mark.parametrize("where", patching_names.POSITIONS)
def test_every_component_has_its_pictures(component: str, where: str) -> None:
    at = opened("patching", component=component, where=where, place="3")
    assert not at.exception
    assert not notices(at, "error")
    both = where == "all" and component not in patching_names.WITHOUT_HEADS
    assert len(titles(at)) == 1 + both
    if both:
        assert "at token 4" in titles(at)[-1]


@pytest.mark.parametrize("metric", patching_names.METRICS)
def test_the_request_says_what_was_chosen(metric: str) -> None:
    client = FakeClient(slow=True)
    at = opened("patching", client, metric=metric, direction="noise", corruption="random_letters", other="C")
    assert not at.exception
    (request,) = [request for request in client.submitted if request.analysis == "patching"]
    assert request.params["direction"] == "noise"
    assert request.params["corruption"] == {"kind": "random_letters"}
    expected = {"kind": metric, "label": "A", "other": "C"}
    used = ("kind", *METRICS[metric].uses)
    assert request.params["metric"] == {name: expected[name] for name in used}


def test_without_a_corrupted_text_nothing_is_asked() -> None:
    client = FakeClient()
    at = opened("patching", client, corruption="text")
    assert not at.exception
    assert client.submitted == []
    assert any("Write the corrupted prompt" in text for text in notices(at, "quiet"))


def test_runs_that_score_the_same_are_said_to() -> None:
    at = opened("patching", shown="values")
    assert "Clean run: +0.800" in " ".join(notices(at, "plain"))
