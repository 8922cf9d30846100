from dataclasses import replace

import numpy as np
import pytest

from app.figures.mutations import mutation_lines, swap_scatter
from backend.results.request import QuestionSet, Request
from backend.results.result import Result
from tests.app.fake_client import made_up


@pytest.fixture
def result() -> Result:
    return made_up(Request.build("mutations", questions=QuestionSet("copy-colors", 5)))


def test_a_line_for_each_condition(result: Result) -> None:
    figure = mutation_lines(result, "loss", "t")
    assert [trace.name for trace in figure.data] == ["whole model", "head at its mean", "low-rank Q and K"]
    ablated = figure.data[1]
    assert list(ablated.x) == ["as it is", "numbers"]
    assert np.allclose(ablated.y, [0.6, 0.8])
    assert np.allclose(ablated.error_y.arrayminus, 0.05)
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    assert len({trace.line.dash for trace in figure.data}) == 3


def test_accuracy_without_intervals(result: Result) -> None:
    (first, *_) = mutation_lines(result, "accuracy", "t").data
    assert np.allclose(first.y, [0.8, 0.7])
    assert first.error_y.array is None


def test_titles_are_text(result: Result) -> None:
    scalars = {**result.scalars, "conditions": [{"name": "x", "title": "<b>x"}] * 3}
    assert mutation_lines(replace(result, scalars=scalars), "loss", "t").data[0].name == "&lt;b&gt;x"


def test_letter_across_and_place_up() -> None:
    swapped = made_up(Request.build("swap-test", questions=QuestionSet("copy-colors", 5)))
    figure = swap_scatter(swapped, "L3H2")
    assert np.allclose(figure.data[0].x, swapped["follows_letter"])
    assert np.allclose(figure.data[0].y, swapped["follows_place"])
