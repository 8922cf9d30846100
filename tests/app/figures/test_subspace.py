import json
from dataclasses import replace

import numpy as np
import pytest

from app.figures.export import html_of
from app.figures.subspace import Look, scene, variance_bars
from app.figures.subspace_points import directions, points_frame
from backend.contract.request import QuestionSet, Request
from backend.contract.result import Result
from tests.app.made_up import BANK, made_up


@pytest.fixture
def result() -> Result:
    return made_up(
        Request.build("subspace", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    )


def test_queries_and_keys_have_marks_of_their_own(result: Result) -> None:
    figure = scene(points_frame(result, (0, 1, 3)), (0, 1, 3), Look("label"), "t")
    assert {trace.marker.symbol for trace in figure.data} == {"circle", "diamond"}
    assert sum(len(trace.x) for trace in figure.data) == len(BANK) * 5
    assert [trace.name for trace in figure.data] == ["A", "B", "A", "B", "C", "D"]
    colours = {(trace.name, trace.marker.color) for trace in figure.data}
    assert len(colours) == 4
    assert list(figure.data[0].customdata) == [0, 1, 2, 3]  # their indices in the bank
    assert list(figure.data[4].customdata) == [0, 1, 2, 3, 4]
    assert figure.layout.scene.zaxis.title.text == "component 4"


def test_the_camera_is_the_viewers(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    turned = {"eye": {"x": 0.1, "y": 2.0, "z": 0.3}}
    figure = scene(frame, (0, 1, 2), Look("label", camera=turned), "t")
    assert figure.layout.scene.camera.eye.to_plotly_json() == turned["eye"]


def test_means_are_named_and_in_the_middle(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    figure = scene(frame, (0, 1, 2), Look("label", means=True), "t")
    means = [trace for trace in figure.data if trace.mode == "markers+text"]
    assert len(means) == 6
    queries = frame[(frame["kind"] == "query") & (frame["label"] == "A")]
    assert means[0].text == ("A",)
    assert means[0].x[0] == pytest.approx(queries["x"].mean())


def test_lines_of_products_are_true_to_angle_and_length(result: Result) -> None:
    frame, ends = points_frame(result, (0, 1, 2)), directions(result, (0, 1, 2))
    figure = scene(frame, (0, 1, 2), Look("label", directions=ends), "t")
    lines = {trace.text[1]: np.array([trace.x[1], trace.y[1], trace.z[1]]) for trace in figure.data[6:]}
    assert list(lines) == ["A", "B", "C", "D"]
    farthest = np.linalg.norm(frame.loc[frame["kind"] == "query", ["x", "y", "z"]], axis=1).max()
    assert max(np.linalg.norm(line) for line in lines.values()) == pytest.approx(farthest, rel=1e-5)
    for label, end in ends.items():
        assert np.allclose(lines[label] / lines["A"][0], end / ends["A"][0], atol=1e-5)
    assert figure.layout.scene.aspectmode == "data"
    assert all(trace.customdata is None for trace in figure.data[6:])


def test_others_have_marks_of_their_own_and_one_line_each_in_the_legend(result: Result) -> None:
    other = replace(result, scalars={**result.scalars, "labels": ["A", "B", "1", "2"]})
    frame = points_frame(result, (0, 1, 2), {"numbers": other, "<b>x": result})
    figure = scene(frame, (0, 1, 2), Look("label", means=True), "t")
    points = [trace for trace in figure.data if trace.mode == "markers" and trace.customdata is not None]
    assert len({trace.marker.symbol for trace in points}) == 6
    # Below the scene: at its side so many lines would hide points and axes.
    assert (figure.layout.legend.orientation, figure.layout.legend.y, figure.layout.legend.yanchor) == (
        "h",
        0,
        "top",
    )
    listed = [
        (trace.legendgrouptitle.text or "", trace.name)
        for trace in figure.data
        if trace.showlegend is not False
    ]
    assert listed[6:] == [
        ("Numbers", "queries"),
        ("", "keys"),
        ("", "1"),
        ("", "2"),
        ("&lt;b&gt;x", "queries"),
        ("", "keys"),
    ]


def test_many_subjects_share_the_last_colour(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    frame["subject"] = [f"subject {number % 12}" for number in range(len(frame))]
    figure = scene(frame, (0, 1, 2), Look("subject"), "t")
    names = {trace.name for trace in figure.data}
    assert len(names) == 7
    assert "other" in names
    assert sum(len(trace.x) for trace in figure.data) == len(frame)


def test_variance_is_shown_for_the_first_few() -> None:
    shares = np.full(20, 0.05, np.float32)
    queries, _ = variance_bars(shares, shares).data
    assert len(queries.x) == 10
    assert queries.customdata[9] == pytest.approx(0.5)


def test_the_saved_file_needs_no_network(result: Result) -> None:
    figure = scene(points_frame(result, (0, 1, 2)), (0, 1, 2), Look("label"), "</script><b>x")
    page = html_of(figure)
    assert len(page) > 10**6
    assert '<script src="http' not in page
    assert "</script><b>x" not in page
    assert figure.layout.height == 600
    assert json.loads(figure.to_json())["layout"]["title"]["text"] == "&lt;/script&gt;&lt;b&gt;x"
