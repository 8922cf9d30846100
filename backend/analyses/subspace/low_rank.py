"""Low-rank subspaces of vectors, and how well classes are separated in them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.contract.errors import RequestError

FOLDS = 5
RIDGE = 1e-2


@dataclass(frozen=True)
class Subspace:
    """A mean and orthonormal directions through it, the most important first.

    Attributes:
        variance: the share of the fitted vectors' variance along each direction.
    """

    mean: Float[Tensor, " d_head"]
    basis: Float[Tensor, "component d_head"]
    variance: Float[Tensor, " component"]

    def coordinates(
        self, vectors: Float[Tensor, "*sample d_head"], rank: int
    ) -> Float[Tensor, "*sample rank"]:
        """Where vectors lie in the first `rank` directions."""
        return (vectors - self.mean) @ self.basis[:rank].T

    def projected(
        self, vectors: Float[Tensor, "*sample d_head"], rank: int
    ) -> Float[Tensor, "*sample d_head"]:
        """Mean plus what the first `rank` directions hold of them: mu + P P^T (v - mu)."""
        return self.mean + self.coordinates(vectors, rank) @ self.basis[:rank]


def fitted(vectors: Float[Tensor, "sample d_head"], what: str) -> Subspace:
    """The principal components of some vectors: as many as they have dimensions.

    Raises RequestError where all are the same; `what` names them.
    """
    mean = vectors.double().mean(0)
    covariance = (vectors.double() - mean).T @ (vectors.double() - mean)
    # Of equal vectors float32 leaves differences of about 1e-7 of their size.
    if float(covariance.trace()) <= 1e-12 * len(vectors) * float(mean.square().sum()) or len(vectors) < 2:
        raise RequestError(f"All {what} are the same, so they span no subspace. Use other questions.")
    return Subspace(mean.float(), *components(covariance))


def components(
    covariance: Float[Tensor, "d_head d_head"],
) -> tuple[Float[Tensor, "component d_head"], Float[Tensor, " component"]]:
    """Orthonormal directions and the share of variance along each, the largest first.

    Each direction's largest entry is positive, so that a picture does not flip between machines.
    """
    sizes, columns = torch.linalg.eigh(covariance)
    rows = columns.flip(1).T
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    shares = sizes.flip(0).clamp_min(0) / sizes.clamp_min(0).sum()
    return (rows * largest.sign()).float(), shares.float()


def variance_along(
    vectors: Float[Tensor, "sample d_head"], basis: Float[Tensor, "component d_head"]
) -> Float[Tensor, " component"]:
    """The share of the vectors' variance along each direction of a basis."""
    along = ((vectors - vectors.mean(0)) @ basis.T).square().sum(0)
    return along / along.sum()


def with_random_basis(subspace: Subspace, seed: int) -> Subspace:
    """The same mean, directions drawn at random: what any subspace of that rank would keep."""
    size = len(subspace.mean)
    drawn = torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
    return Subspace(subspace.mean, torch.linalg.qr(drawn)[0].T, torch.full((size,), 1 / size))


def halves(classes: list[int], seed: int) -> tuple[list[int], list[int]]:
    """Two halves of the samples, each class dealt to both in turn."""
    dealt = _dealt(classes, seed)
    return sorted(dealt[0::2]), sorted(dealt[1::2])


def _dealt(classes: list[int], seed: int) -> list[int]:
    """The samples' numbers in random order, class after class."""
    drawn = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed)).tolist()
    return sorted(drawn, key=lambda sample: classes[sample])


def separated(
    vectors: Float[Tensor, "sample d_head"], classes: list[int], rank: int, seed: int, what: str
) -> int:
    """How many samples a linear classifier gets right that did not see them, in a subspace that did not either.

    Multinomial logistic regression on `rank` principal components, cross-validated in five folds of equal make-up.
    """
    order = _dealt(classes, seed)
    labels, hits = torch.tensor(classes), 0
    for fold in range(min(FOLDS, len(order))):
        held = torch.tensor(sorted(order[fold::FOLDS]))
        rest = torch.tensor(sorted({*order} - {*held.tolist()}))
        subspace = fitted(vectors[rest], what)
        inside, outside = (subspace.coordinates(vectors[part], rank) for part in (rest, held))
        spread = inside.std(0).clamp_min(1e-12)
        weights = _logistic(inside / spread, labels[rest], max(classes) + 1)
        hits += int((_scores(outside / spread, weights).argmax(1) == labels[held]).sum())
    return hits


def shuffled(classes: list[int], seed: int) -> list[int]:
    """The same classes, cut loose from their samples."""
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed)).tolist()
    return [classes[sample] for sample in order]


def _logistic(
    points: Float[Tensor, "sample rank"], classes: Int[Tensor, " sample"], count: int
) -> Float[Tensor, "feature class"]:
    weights = torch.zeros(points.shape[1] + 1, count, requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=20, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        search.zero_grad()
        loss = torch.nn.functional.cross_entropy(_scores(points, weights), classes)
        loss = loss + RIDGE * weights[:-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        search.step(step)  # type: ignore[no-untyped-call]
    return weights.detach()


def _scores(
    points: Float[Tensor, "sample rank"], weights: Float[Tensor, "feature class"]
) -> Float[Tensor, "sample class"]:
    return points @ weights[:-1] + weights[-1]
