"""Bootstrap intervals: worked out by hand, and how often they hold the true mean."""

import numpy as np
import pytest

from backend.results.bootstrap import CELLS, mean_and_ends


def test_of_few_questions() -> None:
    weights = np.ones(0)
    for values in mean_and_ends(np.empty((0, 2)), weights):
        assert np.isnan(values).tolist() == [True, True]
    mean, low, high = mean_and_ends(np.array([[3.0]]), np.ones(1))
    assert mean.tolist() == [3]
    assert np.isnan([low[0], high[0]]).all()


def test_of_equal_values_the_interval_is_the_mean() -> None:
    mean, low, high = mean_and_ends(np.full((5, 2, 3), 0.25), np.ones(5))
    assert mean.shape == (2, 3)
    assert np.allclose([mean, low, high], 0.25)


def test_weights_are_scaled() -> None:
    mean, low, high = mean_and_ends(np.array([[0.0], [1.0]]), np.array([3.0, 1.0]))
    assert mean.tolist() == [0.25]
    assert (low[0], high[0]) == (0, 1)


def test_many_means_are_drawn_part_by_part() -> None:
    samples = np.random.default_rng(1).normal(size=(6, CELLS + 5))
    _, low, _ = mean_and_ends(samples, np.ones(6), draws=50)
    _, few, _ = mean_and_ends(samples[:, -3:], np.ones(6), draws=50)
    assert np.allclose(low[-3:], few)


@pytest.mark.parametrize("count", [24, 48])
def test_nineteen_of_twenty_intervals_hold_the_mean(count: int) -> None:
    """Slightly fewer with few questions, as said."""
    samples = np.random.default_rng(2).exponential(1, size=(count, 2000))
    _, low, high = mean_and_ends(samples, np.ones(count), draws=400)
    held = ((low <= 1) & (high >= 1)).mean()
    assert 0.88 < held < 0.97
