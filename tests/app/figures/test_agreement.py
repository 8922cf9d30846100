"""Which cells are compared, and the correlation of their ranks, by hand."""

import numpy as np
import pytest

from app.figures.agreement import agreement, comparable, rank_correlation

NAN = float("nan")
ESTIMATE = np.array([[0, 1, 2], [NAN, 4, 3]], np.float32)
EXACT = np.array([[0, 1, 8], [5, NAN, 30]], np.float32)


def test_unknown_cells_and_those_that_nothing_reaches_are_left_out() -> None:
    assert comparable(ESTIMATE, EXACT).tolist() == [[False, True, True], [False, False, True]]


@pytest.mark.parametrize(
    ("estimate", "exact", "expected"),
    [
        ([1, 2, 3], [1, 10, 100], 1),
        ([1, 2, 3], [3, 2, 1], -1),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),  # 1 - 6 (1 + 1) / (4 (16 - 1))
        ([1, 2, 2, 4], [1, 2, 2, 4], 1),
        ([1, 2], [1, 2], NAN),
        ([1, 2, 3], [7, 7, 7], NAN),
    ],
)
def test_rank_correlation(estimate: list[float], exact: list[float], expected: float) -> None:
    found = rank_correlation(np.array(estimate, np.float32), np.array(exact, np.float32))
    assert found == pytest.approx(expected, nan_ok=True)


def test_marks_keep_their_names() -> None:
    names = [f"L{layer}H{head}" for layer, head in np.ndindex(ESTIMATE.shape)]
    line, marks = agreement(ESTIMATE, EXACT, names, "logits").data
    assert list(marks.text) == ["L0H1", "L0H2", "L1H2"]
    assert list(marks.x) == [1, 2, 3]
    assert list(marks.y) == [1, 8, 30]
    assert list(line.x) == list(line.y) == [1, 30]
