import numpy as np
import pytest

from app.figures.scale import Scale


@pytest.mark.parametrize(
    ("whole", "noise", "values", "end"),
    [
        (3.1, 0.05, [0.0049, -0.001], 3.1 / 4),  # noise is not painted like a finding
        (-3.1, 0.05, [0.0049], 3.1 / 4),
        (3.1, 0.05, [-2.0, 1.0], 2.0),
        (0.01, 0.05, [0.04], 0.2),
        (0.0, 0.0, [0.0], 1.0),
        (0.0, 0.0, [np.nan, 0.5], 0.5),
    ],
)
def test_where_colours_are_full(whole: float, noise: float, values: list[float], end: float) -> None:
    assert Scale(whole, noise).end(np.array(values, np.float32)) == pytest.approx(end)


@pytest.mark.parametrize(
    ("whole", "noise", "value", "out"),
    [(3.1, 0.05, 0.0049, False), (3.1, 0.05, 0.2, True), (-3.1, 0.05, -0.2, True), (0.1, 0.05, 0.04, False)],
)
def test_what_stands_out(whole: float, noise: float, value: float, *, out: bool) -> None:
    assert Scale(whole, noise).stands_out(value) == out
