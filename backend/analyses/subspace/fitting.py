"""Subspaces and mean outputs of heads, fitted on one half of the questions and run on the other half."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.subspace.head_inputs import ByHead, HeadInputs
from backend.analyses.subspace.low_rank import Subspace, fitted, halves, with_random_basis
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef


@dataclass(frozen=True)
class Fit:
    """One head's subspaces of queries, keys and values, and its mean output at the final position."""

    q: Subspace
    k: Subspace
    v: Subspace
    z: Float[Tensor, " d_head"]

    @classmethod
    def on(cls, some: list[HeadInputs], head: HeadRef) -> "Fit":
        """Fit one head on some questions. Raises RequestError where all queries, keys or values are the same."""
        return cls(
            q=fitted(torch.stack([one.q for one in some]), f"queries of {head}"),
            k=fitted(torch.cat([one.k for one in some]), f"keys of {head}"),
            v=fitted(torch.cat([one.v for one in some]), f"values of {head}"),
            z=torch.stack([one.z for one in some]).mean(0),
        )

    def at_random(self, seed: int) -> "Fit":
        """The same means with random directions."""
        q, k, v = (
            with_random_basis(one, seed + 2**20 * part) for part, one in enumerate((self.q, self.k, self.v))
        )
        return Fit(q, k, v, self.z)


Fits = Mapping[HeadRef, Fit]


@dataclass(frozen=True)
class Half:
    """The questions that are run, the other half of the questions, and what was fitted on that other half."""

    run_on: list[ByHead]
    fit_on: list[ByHead]
    fits: Fits


def halved(kept: list[ByHead], seed: int) -> list[Half]:
    """The questions split into two halves, each with what was fitted on the other.

    Raises RequestError where all queries, keys or values of a head are the same.
    """
    rights = [question_of(inputs).right for inputs in kept]
    first, second = ([kept[number] for number in half] for half in halves(rights, seed))
    return _both(first, second)


def halved_alike(kept: list[ByHead], others: list[Half]) -> list[Half]:
    """The questions split as in `others`, so that no question is run with what was fitted on itself.

    Raises RequestError as `halved` does, and where a half has fewer than 2 questions: one alone has no variance.
    """
    first, second = (
        [inputs for inputs in kept if question_of(inputs).number in numbers_of(half.run_on)]
        for half in others
    )
    fewest = min(len(first), len(second))
    if fewest < 2:
        raise RequestError(
            f"One half has {fewest} of the {len(kept)} questions that can be used here; fitting needs at least 2. "
            "Use more."
        )
    return _both(first, second)


def numbers_of(some: list[ByHead]) -> set[int]:
    """The indices of the questions in the task."""
    return {question_of(inputs).number for inputs in some}


def question_of(inputs: ByHead) -> HeadInputs:
    """The inputs of any head, for what is the same for all heads of a question."""
    return next(iter(inputs.values()))


def span_notes(halves: list[Half], ranks: tuple[int, ...]) -> list[str]:
    """A warning where a half has fewer queries than a subspace has dimensions, else nothing.

    A question has one query but a key and a value for each label, so queries are the fewest.
    """
    fewest = min(len(half.fit_on) for half in halves)
    beyond = [rank for rank in ranks if rank > fewest - 1]
    if not beyond:
        return []
    return [
        f"Each fit has {fewest} queries, which span at most {fewest - 1} dimensions: at a rank of {beyond[0]} or more "
        f"some directions are arbitrary. Rank {beyond[0]} needs at least {2 * (beyond[0] + 1)} questions."
    ]


def resampled(inputs: ByHead, others: list[ByHead], seed: int) -> dict[HeadRef, Float[Tensor, " d_head"]]:
    """The heads' outputs in another question, drawn from those with another right label if there are any."""
    own = question_of(inputs)
    apart = [other for other in others if question_of(other).right != own.right] or others
    other = random.Random(f"{seed}:{own.number}").choice(apart)
    return {head: of_head.z for head, of_head in other.items()}


def _both(first: list[ByHead], second: list[ByHead]) -> list[Half]:
    return [Half(first, second, _fits(second)), Half(second, first, _fits(first))]


def _fits(some: list[ByHead]) -> dict[HeadRef, Fit]:
    return {head: Fit.on([inputs[head] for inputs in some], head) for head in some[0]}
