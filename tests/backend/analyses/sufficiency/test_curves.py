"""Shares over questions, their intervals, halves, and random sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from backend.analyses.sufficiency.curves import halves, random_sets, recovered


def test_recovered_is_the_ratio_of_means_not_the_mean_of_ratios() -> None:
    values, clean, empty = np.array([[1.0], [0.5]]), np.array([2.0, 0.5]), np.array([0.0, 0.4])
    share, low, high = recovered(values, clean, empty, np.ones(2))
    assert share.tolist() == pytest.approx([(0.75 - 0.2) / (1.25 - 0.2)])
    assert low[0] <= share[0] <= high[0]


def test_questions_weigh_as_they_are_told_to() -> None:
    values, clean, empty = np.array([[1.0], [0.0]]), np.ones(2), np.zeros(2)
    assert recovered(values, clean, empty, np.array([3.0, 1.0]))[0].tolist() == pytest.approx([0.75])


def test_one_question_has_no_interval() -> None:
    share, low, high = recovered(np.array([[1.0, 0.5]]), np.array([2.0]), np.array([0.0]), np.ones(1))
    assert share.tolist() == [0.5, 0.25]
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_the_interval_covers_the_true_share_as_often_as_it_says() -> None:
    """400 samples of 40 questions whose true share is 0.5: about 95 % of the intervals contain it."""
    generator, hits = np.random.default_rng(1), 0
    for _ in range(400):
        clean = generator.normal(2, 0.5, 40)
        values = clean * 0.5 + generator.normal(0, 0.3, 40)
        _, low, high = recovered(values[:, None], clean, np.zeros(40), np.ones(40))
        hits += bool(low[0] <= 0.5 <= high[0])
    assert 0.91 <= hits / 400 <= 0.98


@given(some.lists(some.integers(0, 3), max_size=40))
def test_halves_share_each_letter_alike(rights: list[int]) -> None:
    first, second = halves(rights)
    assert sorted(first + second) == list(range(len(rights)))
    for letter in {*rights}:
        counts = [sum(rights[number] == letter for number in half) for half in (first, second)]
        assert 0 <= counts[0] - counts[1] <= 1


@pytest.mark.parametrize("matched", ["kind", "layer"])
def test_random_sets_have_as_many_of_each_kind(matched: str) -> None:
    shape, chosen = (3, 4), [0, 1, 5, 12, 14]  # L0H0 L0H1 L1H1, MLP 0 and 2
    drawn = random_sets(chosen, shape, matched, 30, 0)
    assert len({*drawn}) > 5
    for one in drawn:
        assert len(one) == 5
        assert sum(node >= 12 for node in one) == 2
        if matched == "layer":
            assert sum(node < 4 for node in one) == 2
            assert {12, 14} <= one
    assert drawn == random_sets(chosen, shape, matched, 30, 0)
    assert drawn != random_sets(chosen, shape, matched, 30, 1)
