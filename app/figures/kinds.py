"""Attention summed by the kind of token. The right option's tokens are kinds of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Told:
    """The option with kinds of its own: the right one, or the predicted one if no right answer is known."""

    option: int
    is_right: bool

    def kind(self, role: str) -> str:
        """The kind of a token's role.

        >>> Told(1, True).kind("option 1"), Told(1, True).kind("label 2"), Told(1, True).kind("stem")
        ('right option', 'wrong label', 'stem')
        >>> Told(1, False).kind("option 1"), Told(1, False).kind("label 2")
        ('said option', 'other label')
        """
        name, _, index = role.partition(" ")
        if name not in ("label", "option"):
            return name
        this, others = ("right", "wrong") if self.is_right else ("said", "other")
        return f"{this if int(index) == self.option else others} {name}"

    def kinds(self, roles: Sequence[str]) -> list[str]:
        """The kinds in the order of their first token."""
        return list(dict.fromkeys(self.kind(role) for role in roles))


def mass(rows: NDArray[np.float32], roles: Sequence[str], told: Told, wanted: str) -> NDArray[np.float32]:
    """The sum of `rows[..., position]` over the tokens of one kind."""
    chosen = np.array([told.kind(role) == wanted for role in roles])
    return np.asarray(rows[..., chosen].sum(axis=-1), np.float32)
