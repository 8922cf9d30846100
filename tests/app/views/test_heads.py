"""The page Heads: its words, its pictures, thresholds that name the heads again, and bad input."""

import json
from typing import Any

import pytest

from tests.app.fake_client import FakeClient
from tests.app.made_up import MAKERS, atlas
from tests.app.opened import drawn, notices, opened, titles


def with_scalars(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    usual = atlas.heads_atlas

    def changed(*given: Any) -> Any:
        arrays, ticks, scalars = usual(*given)
        return arrays, ticks, {**scalars, **changes}

    monkeypatch.setitem(MAKERS, "heads", changed)


def test_the_lead_names_the_classes_and_their_heads() -> None:
    at = opened("heads")
    assert not at.exception
    (lead,) = notices(at, "lead")
    assert lead.startswith("Of 24 heads, 2 have a class (all questions). correct letter: L3H2. ")
    assert "content gatherer: L1H3." in lead
    assert "Negative heads, which write against the right letter: L5H3." in notices(at, "quiet")
    assert titles(at) == ["Each head: total effect against direct effect", "The class of each head"]


def test_the_map_has_marks_and_texts() -> None:
    (data,) = drawn(opened("heads"), "heatmap")
    header = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])
    assert header["categories"][0][:2] == ["correct letter", "C"]
    assert len(header["texts"]) == 24
    assert header["clickable"]


def test_a_threshold_names_the_heads_again_without_a_request() -> None:
    client = FakeClient()
    at = opened("heads", client)
    at.slider(key="threshold gap").set_value(0.8).run()
    (lead,) = notices(at, "lead")
    assert "correct letter" not in lead
    assert at.query_params["thresholds"] == "gap:0.8"
    assert client.submitted == []
    next(one for one in at.button if one.label == "Usual thresholds").click().run()
    assert "thresholds" not in at.query_params


def test_the_table_is_narrowed_down() -> None:
    at = opened("heads", only="negative,correct letter")
    assert at.dataframe[0].value.index.tolist() == ["L3H2", "L5H3"]
    assert len(opened("heads").dataframe[0].value) == 24


def test_axes_are_in_the_address_and_bad_ones_are_told() -> None:
    at = opened("heads", across="layer", up="induction", shade="net")
    assert "Each head: induction on random tokens against layer" in titles(at)
    bad = opened("heads", across="height", thresholds="gap:7", only="strange")
    told = " ".join(notices(bad, "warning"))
    assert "across must be one of net" in told
    assert "The threshold gap must be a number from 0 to 1" in told
    assert "only must be one of correct letter" in told


def test_of_questions_answered_right_an_axis_that_is_not_known_is_replaced() -> None:
    at = opened("heads", keep="right", across="qk_top_right")
    assert not at.exception
    assert "Each head: total effect against direct effect" in titles(at)


def test_a_model_at_chance_is_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with_scalars(monkeypatch, at_chance=True)
    at = opened("heads")
    assert notices(at, "warning")[0].startswith("The model answers at chance. It answers 90% of 24 questions")
    assert "The class of each head" in titles(at)


def test_few_questions_a_missing_letter_and_unlike_options_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_scalars(monkeypatch, count=12, options=3.75)
    told = " ".join(notices(opened("heads"), "warning"))
    assert "Only 12 questions: the intervals are wide" in told
    assert "3.75 on average" in told


def test_questions_without_effects_are_named() -> None:
    at = opened("heads")
    assert "1 questions have no effects" in at.expander[1].label
    assert any("Which is red? No other option" in text for text in notices(at, "quiet"))


def test_minutes_wait_for_a_click() -> None:
    client = FakeClient(slow=("heads",))
    at = opened("heads", client)
    assert not at.exception
    assert [request.analysis for request in client.submitted] == []
    (start,) = [one for one in at.button if one.label.startswith("Read every head")]
    start.click().run()
    assert [request.analysis for request in client.submitted] == ["heads"]
    assert client.submitted[0].params == {"corruption": {"kind": "swap_options"}}
