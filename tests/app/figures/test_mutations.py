from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.figures.mutations import Compared, change_table, looks, mutation_lines, swap_scatter
from backend.contract.request import QuestionSet, Request
from backend.contract.result import Result
from tests.app.made_up import made_up


@pytest.fixture
def result() -> Result:
    return made_up(
        Request.build("mutations", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    )


def test_a_line_for_each_condition(result: Result) -> None:
    figure = mutation_lines(result, "loss", "t")
    assert [trace.name for trace in figure.data] == ["whole model", "head at its mean", "low-rank Q and K"]
    ablated = figure.data[1]
    assert list(ablated.x) == ["as it is", "numbers"]
    assert np.allclose(ablated.y, [0.6, 0.8])
    assert np.allclose(ablated.error_y.arrayminus, 0.05)
    assert len({trace.marker.symbol for trace in figure.data}) == 3
    assert len({trace.line.dash for trace in figure.data}) == 3
    assert figure.layout.scattermode == "group"  # no interval covers another


def test_accuracy_with_its_intervals(result: Result) -> None:
    (first, *_) = mutation_lines(result, "accuracy", "t").data
    assert np.allclose(first.y, [0.8, 0.7])
    assert np.allclose(first.error_y.array, 0.05)
    assert np.allclose(first.error_y.arrayminus, 0.1)


def test_a_table_shows_numbers_and_is_coloured_by_what_is_worse() -> None:
    values, usual = np.array([[[0.5, 0.75], [1.0, 0.999]], [[0.5, 0.5], [1.0, 1.0]]], np.float32)
    names: dict[str, Any] = {"title": "t", "x": "run with", "y": "prompts"}
    figure = change_table(
        Compared(values, usual, ["a", "<b>"], ["one", "two"]), worse=0.5, dark=False, **names
    )
    cells, texts = figure.data
    assert np.allclose(cells.z, [[0, 0.5], [0, -0.002]])
    assert list(texts.text) == ["0.50", "0.75<br>+0.25", "1.00", "1.00"]
    assert list(texts.x) == ["one", "two", "one", "two"]
    assert list(texts.y) == ["a", "a", "&lt;b&gt;", "&lt;b&gt;"]
    accuracy = change_table(
        Compared(values, usual, ["a", "b"], ["one", "two"]), worse=-0.5, dark=True, **names
    )
    assert accuracy.data[0].z[0][1] == -0.5
    assert accuracy.data[1].textfont.color != texts.textfont.color


def test_where_the_head_looks(result: Result) -> None:
    figure = looks(result, "L3H2")
    assert figure is not None
    right, letter = figure.data
    assert np.allclose(right.y, [0.8, 0.6])
    assert np.allclose(right.error_y.array, 0.1)
    assert np.isnan(letter.y[1])
    several = {name: array for name, array in result.arrays.items() if not name.startswith("right")}
    assert looks(replace(result, arrays=several), "L3H2") is None


def test_titles_are_text(result: Result) -> None:
    scalars = {**result.scalars, "conditions": [{"name": "x", "title": "<b>x"}] * 3}
    assert mutation_lines(replace(result, scalars=scalars), "loss", "t").data[0].name == "&lt;b&gt;x"


def test_letter_across_and_place_up() -> None:
    swapped = made_up(
        Request.build("swap-test", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    )
    figure = swap_scatter(swapped, "L3H2")
    assert np.allclose(figure.data[0].x, swapped["follows_letter"])
    assert np.allclose(figure.data[0].y, swapped["follows_place"])
    assert figure.data[0].text[-1] == "Where is &lt;b&gt;up&lt;/b&gt;?"
