import json
from dataclasses import replace

import numpy as np
import pytest

from app.figures.subspace import points_frame, scene, stand_alone, variance_bars
from backend.results.request import QuestionSet, Request
from backend.results.result import Result
from tests.app.fake_client import BANK, made_up


@pytest.fixture
def result() -> Result:
    return made_up(
        Request.build("subspace", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    )


def test_coordinates_are_those_of_the_analysis(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    queries, keys = frame[frame["kind"] == "query"], frame[frame["kind"] == "key"]
    assert np.allclose(queries[["x", "y", "z"]], result["points_q"], atol=1e-4)
    drawn, told = keys[["x", "y", "z"]].to_numpy(), result["points_k"].reshape(-1, 3)
    scale = np.linalg.norm(drawn) / np.linalg.norm(told)
    assert np.allclose(drawn, scale * told, atol=1e-4)
    assert np.sqrt(np.square(drawn).mean()) == pytest.approx(
        np.sqrt(np.square(result["points_q"]).mean()), rel=1e-4
    )


def test_other_components_can_be_chosen(result: Result) -> None:
    swapped = points_frame(result, (2, 0, 4))
    first = points_frame(result, (0, 1, 2))
    queries = swapped["kind"] == "query"
    assert np.allclose(swapped.loc[queries, "x"], first.loc[queries, "z"])
    assert np.allclose(swapped.loc[queries, "y"], first.loc[queries, "x"])


def test_what_the_colours_say(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2)).set_index(["kind", "question"])
    assert list(frame.loc["query", "label"]) == ["A"] * 4 + ["B"]
    assert list(frame.loc["query", "place"]) == ["1"] * 4 + ["2"]
    assert list(frame.loc["query", "verdict"]) == ["right", "wrong", "right", "wrong", "wrong"]
    last = frame.loc[("key", 4)]
    assert list(last["label"]) == ["A", "B", "C", "D"]
    assert list(last["letter"]) == ["B"] * 4
    assert list(last["verdict"]) == ["wrong", "right", "wrong", "wrong"]
    assert set(last["subject"]) == {"directions"}


def test_queries_and_keys_have_marks_of_their_own(result: Result) -> None:
    figure = scene(points_frame(result, (0, 1, 3)), "label", (0, 1, 3), means=False, title="t")
    assert {trace.marker.symbol for trace in figure.data} == {"circle", "diamond"}
    assert sum(len(trace.x) for trace in figure.data) == len(BANK) * 5
    assert [trace.name for trace in figure.data] == ["A", "B", "A", "B", "C", "D"]
    colours = {(trace.name, trace.marker.color) for trace in figure.data}
    assert len(colours) == 4
    assert list(figure.data[0].customdata) == [0, 1, 2, 3]
    assert list(figure.data[4].customdata) == [0, 1, 2, 3, 4]
    assert figure.layout.scene.zaxis.title.text == "component 4"


def test_the_camera_is_the_viewers(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    turned = {"eye": {"x": 0.1, "y": 2.0, "z": 0.3}}
    figure = scene(frame, "label", (0, 1, 2), means=False, title="t", camera=turned)
    assert figure.layout.scene.camera.eye.to_plotly_json() == turned["eye"]


def test_means_are_named_and_in_the_middle(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    figure = scene(frame, "label", (0, 1, 2), means=True, title="t")
    means = [trace for trace in figure.data if trace.mode == "markers+text"]
    assert len(means) == 6
    queries = frame[(frame["kind"] == "query") & (frame["label"] == "A")]
    assert means[0].text == ("A",)
    assert means[0].x[0] == pytest.approx(queries["x"].mean())


def test_many_subjects_share_the_last_colour(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    frame["subject"] = [f"subject {place % 12}" for place in range(len(frame))]
    figure = scene(frame, "subject", (0, 1, 2), means=False, title="t")
    names = {trace.name for trace in figure.data}
    assert len(names) == 7
    assert "other" in names
    assert sum(len(trace.x) for trace in figure.data) == len(frame)


def test_markup_in_a_stem_stays_text(result: Result) -> None:
    question = {**result.scalars["questions"][0], "stem": "<img src=x> " + "long " * 100}
    questions = [question, *result.scalars["questions"][1:]]
    frame = points_frame(replace(result, scalars={**result.scalars, "questions": questions}), (0, 1, 2))
    assert frame["text"][0].startswith("&lt;img src=x&gt; long")
    assert len(frame["text"][0]) < 400


def test_variance_is_shown_for_the_first_few() -> None:
    shares = np.full(20, 0.05, np.float32)
    queries, _ = variance_bars(shares, shares).data
    assert len(queries.x) == 10
    assert queries.customdata[9] == pytest.approx(0.5)


def test_the_saved_file_needs_no_network(result: Result) -> None:
    figure = scene(points_frame(result, (0, 1, 2)), "label", (0, 1, 2), means=False, title="</script><b>x")
    page = stand_alone(figure)
    assert len(page) > 10**6
    assert '<script src="http' not in page
    assert "</script><b>x" not in page
    assert figure.layout.height == 600
    assert json.loads(figure.to_json())["layout"]["title"]["text"] == "&lt;/script&gt;&lt;b&gt;x"
