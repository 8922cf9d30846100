"""Zero means no change in both directions, by hand."""

import numpy as np
import pytest

from app.figures.patched import effect, effect_name
from backend.results.result import Array, Result

AXES = ("layer", "position")


def result() -> Result:
    values = np.array([[0.8, -0.4], [0.2, 1.1]], np.float32)
    recovered = (values + np.float32(0.4)) / np.float32(1.2)
    arrays = {"values": Array(values, AXES, "logits"), "recovered": Array(recovered, AXES, "share")}
    return Result(request={}, arrays=arrays, ticks={}, scalars={"clean": 0.8, "corrupted": -0.4})


@pytest.mark.parametrize(
    ("direction", "shown", "expected"),
    [
        ("denoise", "values", [[1.2, 0], [0.6, 1.5]]),
        ("noise", "values", [[0, -1.2], [-0.6, 0.3]]),
        ("denoise", "recovered", [[1, 0], [0.5, 1.25]]),
        ("noise", "recovered", [[0, 1], [0.5, -0.25]]),
    ],
)
def test_effects_by_hand(direction: str, shown: str, expected: list[list[float]]) -> None:
    found = effect(result(), direction, shown)
    assert found == pytest.approx(np.array(expected), abs=1e-6)
    assert found.dtype == np.float32


def test_names_tell_the_direction() -> None:
    assert effect_name("denoise", "recovered") == "Share recovered"
    assert effect_name("noise", "recovered") == "Share lost"
