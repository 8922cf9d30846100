"""Shares and means over questions with their intervals, and p-values by random signs."""

import numpy as np
import pytest

from backend.analyses import bootstrap
from backend.analyses.bootstrap import mean_over_questions, share_of_means, sign_flip_p


def test_recovered_is_the_ratio_of_means_not_the_mean_of_ratios() -> None:
    values, clean, empty = np.array([[1.0], [0.5]]), np.array([2.0, 0.5]), np.array([0.0, 0.4])
    share, low, high = share_of_means(values, clean, empty, np.ones(2))
    assert share.tolist() == pytest.approx([(0.75 - 0.2) / (1.25 - 0.2)])
    assert low[0] <= share[0] <= high[0]


def test_questions_weigh_as_they_are_told_to() -> None:
    values, clean, empty = np.array([[1.0], [0.0]]), np.ones(2), np.zeros(2)
    assert share_of_means(values, clean, empty, np.array([3.0, 1.0]))[0].tolist() == pytest.approx([0.75])


def test_one_question_has_no_interval() -> None:
    share, low, high = share_of_means(np.array([[1.0, 0.5]]), np.array([2.0]), np.array([0.0]), np.ones(1))
    assert share.tolist() == [0.5, 0.25]
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_the_interval_covers_the_true_share_as_often_as_it_says() -> None:
    """400 samples of 40 questions whose true share is 0.5: about 95 % of the intervals contain it."""
    generator, hits = np.random.default_rng(1), 0
    for _ in range(400):
        clean = generator.normal(2, 0.5, 40)
        values = clean * 0.5 + generator.normal(0, 0.3, 40)
        _, low, high = share_of_means(values[:, None], clean, np.zeros(40), np.ones(40))
        hits += bool(low[0] <= 0.5 <= high[0])
    assert 0.91 <= hits / 400 <= 0.98


def test_a_mean_and_its_interval_cover_as_often_as_they_say() -> None:
    generator, hits = np.random.default_rng(2), 0
    for _ in range(400):
        values = generator.normal(0.3, 1, (40, 1))
        mean, low, high = mean_over_questions(values, np.ones(40))
        assert mean[0] == pytest.approx(values.mean())
        hits += bool(low[0] <= 0.3 <= high[0])
    assert 0.90 <= hits / 400 <= 0.98


def test_p_values_of_no_effect_are_spread_evenly_and_of_a_large_one_are_small() -> None:
    generator = np.random.default_rng(3)
    p = sign_flip_p(generator.normal(size=(20, 500)), np.ones(20))
    assert 0.03 <= (p < 0.05).mean() <= 0.075
    assert sign_flip_p(generator.normal(3, 1, (20, 5)), np.ones(20)).max() < 0.002


def test_a_missing_value_leaves_its_question_out_there() -> None:
    values = np.array([[1.0, 1.0, np.nan], [3.0, np.nan, np.nan]])
    clean, empty, ones = np.array([2.0, 4.0]), np.array([0.0, 1.0]), np.ones(2)
    assert mean_over_questions(values, ones)[0].tolist()[:2] == [2.0, 1.0]
    share = share_of_means(values, clean, empty, ones)[0]
    assert share[:2].tolist() == pytest.approx([(2 - 0.5) / (3 - 0.5), 0.5])
    assert np.isnan(share[2])
    assert np.isnan(sign_flip_p(values, ones)[2])


def test_many_cells_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values, ones = np.random.default_rng(4).normal(size=(6, 3, 5)), np.ones(6)
    whole = [*mean_over_questions(values, ones), sign_flip_p(values, ones)]
    monkeypatch.setattr(bootstrap, "COLUMNS", 4)
    for one, other in zip(
        whole, [*mean_over_questions(values, ones), sign_flip_p(values, ones)], strict=True
    ):
        np.testing.assert_allclose(one, other)
