"""Subspaces of vectors made to be of low rank, and classes made to be separable in them."""

import pytest
import torch

from backend.analyses.subspace.low_rank import (
    fitted,
    halves,
    separated,
    shuffled,
    variance_along,
    with_random_basis,
)
from backend.contract.errors import RequestError


def of_rank(rank: int, count: int = 60, size: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, rank, generator=generator) @ torch.randn(
        rank, size, generator=generator
    ) + 5 * torch.randn(size, generator=generator)


def test_vectors_of_rank_two_are_held_by_two_directions() -> None:
    vectors = of_rank(2)
    subspace = fitted(vectors, "vectors")
    assert float(subspace.variance[:2].sum()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(subspace.projected(vectors, 2), vectors, atol=1e-4, rtol=1e-4)
    assert float((subspace.projected(vectors, 1) - vectors).norm()) > 1
    torch.testing.assert_close(
        subspace.projected(vectors, 0), vectors.mean(0).expand_as(vectors), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(subspace.basis @ subspace.basis.T, torch.eye(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(variance_along(vectors, subspace.basis), subspace.variance, atol=1e-5, rtol=0)


def test_random_directions_keep_less_and_the_whole_space_everything() -> None:
    vectors = of_rank(2)
    subspace = fitted(vectors, "vectors")
    drawn = with_random_basis(subspace, 1)
    assert float((drawn.projected(vectors, 2) - vectors).norm()) > 1
    torch.testing.assert_close(drawn.projected(vectors, 16), vectors, atol=1e-4, rtol=1e-4)
    assert not torch.equal(drawn.basis, with_random_basis(subspace, 2).basis)


def test_equal_vectors_span_nothing() -> None:
    with pytest.raises(RequestError, match="All queries are the same"):
        fitted(torch.full((5, 4), 0.3), "queries")


def test_halves_hold_each_class_equally() -> None:
    classes = [number % 4 for number in range(40)]
    first, second = halves(classes, 3)
    assert sorted(first + second) == list(range(40))
    for half in (first, second):
        assert [sum(classes[sample] == one for sample in half) for one in range(4)] == [5] * 4


def test_classes_apart_are_separated_and_shuffled_ones_are_not() -> None:
    classes = [number % 4 for number in range(60)]
    centres = 4 * torch.randn(4, 16, generator=torch.Generator().manual_seed(2))
    vectors = centres[classes] + 0.3 * torch.randn(60, 16, generator=torch.Generator().manual_seed(3))
    assert separated(vectors, classes, 3, 0, "vectors") >= 58
    assert separated(vectors, shuffled(classes, 0), 3, 0, "vectors") < 30
    assert separated(of_rank(3), classes, 3, 0, "vectors") < 30
