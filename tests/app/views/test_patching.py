"""The patching page: what it asks for, and which pictures it draws of what comes back."""

import json
import re
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from backend.contract.cards import ModelShape
from backend.contract.choices import POSITIONS
from backend.contract.components import COMPONENTS
from backend.contract.corruptions import CORRUPTIONS, DRAWS, SEED, Corruption
from backend.contract.metrics import LABEL, METRICS, Metric
from backend.contract.request import Request
from backend.contract.result import Result
from tests.app.fake_client import FakeClient
from tests.app.made_up import HEADS, LAYERS, made_up
from tests.app.made_up.parts import RUNS
from tests.app.opened import drawn, notices, opened, titles


def test_a_new_metric_and_a_new_corruption_are_offered_and_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metric = Metric(name="margin", title="A new metric", help="new", fields=(LABEL,), unit="logits")
    corruption = Corruption(name="typo", title="A new corruption", help="new", fields=(SEED, DRAWS))
    monkeypatch.setitem(METRICS, "margin", metric)
    monkeypatch.setitem(CORRUPTIONS, "typo", corruption)
    at = opened("patching")
    assert "A new metric" in at.selectbox(key="metric").options
    assert "A new corruption" in at.selectbox(key="corruption").options
    client = FakeClient(slow=("patching",))
    at = opened("patching", client, metric="margin", corruption="typo", draws="2")
    assert not at.exception
    (request,) = client.submitted
    assert request.params["metric"] == {"kind": "margin", "label": "A"}
    assert request.params["corruption"] == {"kind": "typo", "draws": 2}


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("where", POSITIONS)
def test_every_component_has_its_pictures(component: str, where: str) -> None:
    at = opened("patching", component=component, where=where, place="9")
    assert not at.exception
    assert not notices(at, "error")
    both = where == "all" and COMPONENTS[component].heads is not None
    assert len(heatmaps(at)) == 1 + both
    assert titles(at)[0].startswith("Estimate against exact value")
    if both:
        assert "at token 10" in titles(at)[-1]
    assert "All cells are exact." in captions(at)


@pytest.mark.parametrize("metric", METRICS)
def test_the_request_says_what_was_chosen(metric: str) -> None:
    client = FakeClient(slow=("patching",))
    at = opened("patching", client, metric=metric, direction="noise", corruption="random_letters", other="C")
    assert not at.exception
    (request,) = client.submitted
    assert request.params["direction"] == "noise"
    assert request.params["corruption"] == {"kind": "random_letters"}
    expected = {"kind": metric, "label": "A", "other": "C"}
    used = ("kind", *METRICS[metric].labels)
    assert request.params["metric"] == {name: expected[name] for name in used}


def test_the_estimate_is_of_the_same_pair() -> None:
    client = FakeClient(slow=("attribution_patching", "patching"))
    opened("patching", client, metric="loss", direction="noise", draws="3", component="q")
    (estimate,) = client.submitted
    client.slow = ("patching",)
    opened("patching", client, metric="loss", direction="noise", draws="3", component="q")
    exact = client.submitted[-1]
    assert (estimate.analysis, exact.analysis) == ("attribution_patching", "patching")
    assert estimate.params["corruption"] == {"kind": "swap_options", "draws": 3}
    assert estimate.params == {name: exact.params[name] for name in ("corruption", "metric", "direction")}


def test_the_spread_over_the_draws_is_in_the_picture() -> None:
    assert "spread" not in heatmaps(opened("patching"))[0]["arrays"]
    assert "spread" in heatmaps(opened("patching", draws="3"))[0]["arrays"]


def test_estimates_stand_where_nothing_is_exact_yet() -> None:
    client = FakeClient(slow=("patching",))
    at = opened("patching", client)
    (grid,) = heatmaps(at)
    assert np.isnan(grid["values"]).all()
    assert np.isfinite(grid["estimate"]).all()
    assert "Small marks are estimates" in captions(at)
    assert f"Exact so far: 0 of {LAYERS * HEADS} cells." in captions(at)
    assert "Clean run: +0.800" in " ".join(notices(at, "plain"))


def test_the_tokens_that_are_left_out_are_told() -> None:
    at = opened("patching", where="all", component="mlp_out")
    assert "The first 7 tokens are left out" in captions(at)
    (grid,) = heatmaps(at)
    assert grid["values"].shape == (LAYERS, 20)
    assert "tokens are left out" not in captions(opened("patching"))


@pytest.mark.parametrize(("place", "column"), [("9", 2), ("3", 19)])
def test_the_token_looked_at_has_its_strongest_cell_framed(place: str, column: int) -> None:
    """A token that is left out is not looked at; the last one is."""
    above, below = heatmaps(opened("patching", where="all", place=place))
    ((row, framed),) = above["marked"]
    assert framed == column
    assert abs(above["values"][row, column]) == np.abs(above["values"][:, column]).max()
    assert abs(above["values"][row, column]) == np.abs(below["values"]).max()
    assert heatmaps(opened("patching"))[0]["marked"] == []


def test_exact_cells_take_the_place_of_estimates() -> None:
    client = FakeClient(slow=("patching",))
    opened("patching", client)
    client.shown["patching"] = partly(client.submitted[0], slice(0, 2))
    at = opened("patching", client)
    (grid,) = heatmaps(at)
    assert np.isfinite(grid["values"][:2]).all()
    assert np.isnan(grid["values"][2:]).all()
    assert f"Exact so far: {2 * HEADS} of {LAYERS * HEADS} cells." in captions(at)
    next(button for button in at.button if button.label == "Cancel").click().run()
    assert client.cancelled == ["2"]
    (kept,) = heatmaps(at)
    assert np.isfinite(kept["values"][:2]).all()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {},
            r"Put in alone, L\dH\d helps most: it brings back \d+% of the difference\. "
            r"L\dH\d works most against it: it widens the difference by \d+%\.$",
        ),
        (
            {"direction": "noise", "where": "all"},
            r"L\dH\d at token \d+, '.*', matters most: it takes away \d+% of the difference\. L\dH\d at token \d+, ",
        ),
        (
            {"shown": "values", "component": "k"},
            r"kv head \d of layer \d helps most: it changes the metric by [+][\d.]+ logits\. "
            r"kv head \d of layer \d works most against it: it changes the metric by -[\d.]+ logits\.",
        ),
        (
            {"shown": "values", "direction": "noise"},
            r"matters most: it changes the metric by -[\d.]+ logits\. .* against it: it changes the metric by [+]",
        ),
    ],
)
def test_the_strongest_is_named_once_all_is_exact(params: dict[str, str], said: str) -> None:
    (lead,) = notices(opened("patching", **params), "lead")
    assert re.search(said, lead), lead
    assert not notices(opened("patching", FakeClient(slow=("patching",)), **params), "lead")


def test_what_is_small_is_not_told_as_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {"clean": 300.0, "draws": [{"note": "", "corrupted": -0.4}]}
    monkeypatch.setattr("tests.app.made_up.nodes.RUNS", RUNS | runs)
    at = opened("patching", shown="values")
    (lead,) = notices(at, "lead")
    assert lead.startswith("Nothing stands out. Put in alone, even L")
    assert heatmaps(at)[0]["range"] == pytest.approx([-300.4 / 4, 300.4 / 4])


def test_the_head_that_one_came_from_has_its_place_told() -> None:
    quiet = notices(opened("patching", head="L1H1"), "quiet")
    (told,) = [text for text in quiet if text.startswith("L1H1, the head in the address, ")]
    assert re.search(rf"difference.*: number \d+ of {LAYERS * HEADS} by size\.$", told), told
    assert not any("in the address" in text for text in notices(opened("patching"), "quiet"))


def test_a_stopped_sweep_goes_on() -> None:
    client = FakeClient(slow=("patching",))
    at = opened("patching", client)
    next(button for button in at.button if button.label == "Cancel").click().run()
    assert "Stopped. What was finished is kept." in notices(at, "quiet")
    assert len(client.submitted) == 1
    next(button for button in at.button if button.label == "Go on").click().run()
    assert len(client.submitted) == 2
    assert any("Going through" in text for text in notices(at, "quiet"))


def test_what_cannot_be_patched_is_said_so_and_there_is_no_estimate() -> None:
    at = opened("patching", where="all", component="resid_pre", corruption="question")
    assert not notices(at, "error")
    assert "Without estimates: The corrupted prompt has another length." in notices(at, "quiet")
    (grid,) = heatmaps(at)
    assert grid["missing"] == "not patched: no counterpart in the other prompt"
    assert np.isnan(grid["values"][:, 2]).all()
    assert np.isfinite(grid["values"][:, :2]).all()
    assert "Hatched cells are not patched" in captions(at)
    assert len(titles(at)) == 1


def test_a_long_sweep_waits_for_its_button() -> None:
    client = FakeClient(slow=("patching",))
    at = opened("patching", client, where="all")
    assert client.submitted == []
    assert len(heatmaps(at)) == 2
    assert at.button[-1].label == "Run the exact sweep (about 2 min)"
    at.button[-1].click().run()
    assert [request.params["positions"] for request in client.submitted] == ["all"]
    assert any("Going through" in text for text in notices(at, "quiet"))
    # Another choice leaves that job, and waits for a click again.
    at.selectbox(key="component").select("q").run()
    assert client.cancelled == ["1"]
    assert len(client.submitted) == 1
    assert at.button[-1].label == "Run the exact sweep (about 2 min)"


def test_until_the_duration_is_told_the_picture_stands_where_it_will() -> None:
    at = opened("patching", FakeClient(slow=("patching", "cost")), where="all")
    assert not at.exception
    assert [button.label for button in at.button][-2:] == ["Run the exact sweep", "Cancel"]


@pytest.mark.parametrize("params", [{}, {"where": "all", "component": "mlp_out"}])
def test_a_short_sweep_starts_by_itself(params: dict[str, str]) -> None:
    client = FakeClient(slow=("patching",))
    opened("patching", client, **params)
    assert len(client.submitted) == 1


def test_without_a_corrupted_text_nothing_is_asked() -> None:
    client = FakeClient()
    at = opened("patching", client, corruption="text")
    assert not at.exception
    assert client.submitted == []
    assert any("Write the corrupted prompt" in text for text in notices(at, "quiet"))


def partly(request: Request, layers: slice) -> Result:
    """The fake result with these layers alone; NaN elsewhere."""
    whole = made_up(request)
    arrays = {}
    for name, array in whole.arrays.items():
        values = np.full_like(array.values, np.nan)
        values[layers] = array.values[layers]
        arrays[name] = replace(array, values=values)
    return replace(whole, arrays=arrays)


def heatmaps(at: AppTest) -> list[dict[str, Any]]:
    """Header and arrays of each heatmap."""
    found = []
    for data in drawn(at, "heatmap"):
        (length,) = struct.unpack_from("<I", data)
        header = json.loads(data[4 : 4 + length])
        numbers = np.frombuffer(data, "<f4", offset=4 + length)
        shape = (len(header["arrays"]), len(header["rows"]), len(header["columns"]))
        found.append(header | dict(zip(header["arrays"], numbers.reshape(shape), strict=True)))
    return found


def captions(at: AppTest) -> str:
    return " ".join(caption.value for caption in at.caption)


def test_what_a_model_with_both_side_by_side_does_not_have_is_not_offered() -> None:
    client = FakeClient()
    between = COMPONENTS["resid_mid"].title
    assert between in opened("patching", client).selectbox(key="component").options
    client.resolved = replace(client.resolved, shape=ModelShape(4, 4, parallel=True))
    assert between not in opened("patching", client).selectbox(key="component").options
    client.resolved = replace(client.resolved, shape=None)
    assert between in opened("patching", client).selectbox(key="component").options


def test_shares_of_noise_are_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {"corrupted": 0.787, "draws": [{"note": "", "corrupted": 0.787}]}
    monkeypatch.setattr("tests.app.made_up.nodes.RUNS", RUNS | runs)
    at = opened("patching")
    (lead,) = notices(at, "lead")
    assert "%" not in lead
    assert "changes the metric by" in lead
    quiet = notices(at, "quiet")
    assert any("The runs differ by 0.013 logits; below 0.05 it is noise." in text for text in quiet)
    assert "Shares of so little mean nothing; changes of the metric are shown." in quiet
    assert "Change of the metric" in titles(at)[-1]


def test_a_corrupted_run_that_answers_better_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.app.made_up.nodes.RUNS", RUNS | {"corrupted": 2.0, "draws": []})
    assert any("answers better, by 1.2 logits" in text for text in notices(opened("patching"), "quiet"))
