"""The Circuit page: what it asks for, what it says, and the set that is edited by hand."""

import pytest

from backend.contract.request import QuestionSet
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened, titles


def test_the_lead_names_the_smallest_set_and_the_random_ones() -> None:
    at = opened("circuit")
    assert not at.exception
    (lead,) = notices(at, "lead")
    assert lead == (
        "2 of 30 heads and MLPs recover 90% of the answer (95 %: 80% to 100%) on 5 questions that they were not chosen "
        "on. Random sets of 2 recover 5% to 5%."
    )
    assert titles(at) == [
        "Recovered: first nodes kept live",
        "Recovered: first nodes held fixed",
        "Lost: first nodes replaced",
    ]
    assert "Only 5 questions were scored" in " ".join(notices(at, "plain"))
    assert "1 question was left out. The first: No question has" in " ".join(notices(at, "plain"))


def test_where_no_set_suffices_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.app.made_up import nodes

    made = nodes.OF_NODES["sufficiency"]

    def none_suffices(request: object, generator: object) -> object:
        arrays, ticks, told = made(request, generator)  # type: ignore[arg-type]
        return arrays, ticks, {**told, "smallest": None}

    monkeypatch.setitem(nodes.OF_NODES, "sufficiency", none_suffices)
    monkeypatch.setitem(
        __import__("tests.app.made_up", fromlist=["MAKERS"]).MAKERS, "sufficiency", none_suffices
    )
    (lead,) = notices(opened("circuit"), "lead")
    assert lead.startswith("No set recovers 80% of the answer. The best of those tried keeps 8 nodes")


def test_the_request_is_about_the_bank() -> None:
    client = FakeClient(slow=("sufficiency",))
    opened("circuit", client, bank="other", order="direct", replacement="mean", limit="12")
    (request,) = client.submitted
    assert request.params == {
        "corruption": {"kind": "question", "bank": "other"},
        "order": "direct",
        "replacement": "mean",
        "share": 0.8,
    }
    assert isinstance(request.questions, QuestionSet)
    assert request.questions.bank == "other"


def test_the_set_begins_with_the_smallest_and_follows_edits() -> None:
    at = opened("circuit")
    assert at.multiselect(key="nodes").value == ["L3H2", "MLP 5"]
    at.multiselect(key="nodes").set_value(["L3H2", "MLP 5", "L1H3"]).run()
    assert at.query_params["nodes"] == "L3H2,MLP 5,L1H3"
    assert not at.exception
    plain = " ".join(notices(at, "plain"))
    assert "3 nodes kept alone recover 100% (90% to 110%)" in plain


def test_the_address_names_a_set() -> None:
    at = opened("circuit", nodes="L0H1,MLP 2")
    assert at.multiselect(key="nodes").value == ["L0H1", "MLP 2"]
    bad = opened("circuit", nodes="L0H1,MLP x")
    assert not bad.exception
    assert "must be a whole number" in " ".join(notices(bad, "warning"))
