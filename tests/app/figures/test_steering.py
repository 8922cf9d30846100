import numpy as np
import pytest

from app.figures.steering import among_labels, before_and_after, flip_curves
from backend.contract.request import QuestionSet, Request
from tests.app.made_up import made_up


def test_the_direction_is_drawn_beside_a_random_one() -> None:
    result = made_up(
        Request.build("key-steering", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    )
    figure = flip_curves(result, "t", 2.0)
    flipped, random, looked, _ = figure.data
    assert np.allclose(flipped.x, [-1, 0, 1, 2])
    assert np.allclose(flipped.y, [0, 0.1, 0.5, 0.8])
    assert np.allclose(random.y, [0, 0.01, 0.05, 0.08])
    assert np.allclose(flipped.error_y.array, 0.05)
    assert looked.marker.symbol != flipped.marker.symbol
    assert figure.layout.shapes[0].x0 == 2.0


def test_intervals_of_shares_end_at_none_and_all() -> None:
    result = made_up(
        Request.build("key-steering", questions=QuestionSet("copy-colors", 5), params={"head": [3, 2]})
    )
    flipped = flip_curves(result, "t", 2.0).data[0]
    assert np.allclose(flipped.y - flipped.error_y.arrayminus, [0, 0.05, 0.45, 0.75])


def test_logits_become_probabilities_among_the_labels() -> None:
    assert among_labels(np.log(np.array([1, 3], np.float32)) + 100) == pytest.approx([0.25, 0.75], rel=1e-4)


def test_before_and_after_stand_side_by_side() -> None:
    before, after = np.array([0.9, 0.1], np.float32), np.array([0.2, 0.8], np.float32)
    first, second = before_and_after(["A", "<b>"], before, after, title="t", y="probability").data
    assert (first.name, second.name) == ("as it is", "steered")
    assert list(second.x) == ["A", "&lt;b&gt;"]
    assert list(second.y) == [0.2, 0.8]
