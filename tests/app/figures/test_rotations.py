import numpy as np
import pytest

from app.figures.rotations import Rotation, rotated, rotation_bars
from backend.contract.question import Question

QUESTION = Question("?", ("a", "b", "c"), 2)


@pytest.mark.parametrize("by", [0, 1, 2])
def test_the_right_option_moves_with_its_text(by: int) -> None:
    turned = rotated(QUESTION, by)
    assert turned.answer is not None
    assert turned.options[turned.answer] == "c"
    assert set(turned.options) == set(QUESTION.options)
    assert turned.options[by] == "a"


@pytest.mark.parametrize("by", [0, 1, 2])
def test_a_model_that_keeps_to_the_content_says_one_option_in_every_order(by: int) -> None:
    options = rotated(QUESTION, by).options
    probs = np.array([0.8 if text == "b" else 0.1 for text in options], np.float32)
    rotation = Rotation(by, probs)
    assert QUESTION.options[rotation.option] == "b"
    assert rotation.by_option().argmax() == 1
    assert options[rotation.letter] == "b"


def test_bars_stand_in_the_order_as_asked_and_have_the_letters_colours() -> None:
    rotations = [
        Rotation(0, np.array([0.5, 0.3, 0.2], np.float32)),
        Rotation(1, np.array([0.1, 0.7, 0.2], np.float32)),
    ]
    first, *_ = rotation_bars(rotations, ("A", "B", "C"), ("a", "<b>", "c")).data
    assert list(first.x) == [pytest.approx(0.5), pytest.approx(0.7)]
    assert list(first.text) == ["A: a", "B: a"]
    assert first.marker.color[0] != first.marker.color[1]
