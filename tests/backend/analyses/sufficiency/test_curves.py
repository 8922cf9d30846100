"""Halves of a bank, and random sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from backend.analyses.sufficiency.curves import halves, random_sets


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
