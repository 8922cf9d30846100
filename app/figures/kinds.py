"""Attention summed by the kind of token; the right option is a kind of its own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def kind(role: str, right: int | None) -> str:
    """The kind of a token's role: `"label 2"` is a right or wrong label, or just a label if none is known.

    >>> kind("option 1", 1), kind("option 1", None), kind("stem", 1)
    ('right option', 'option', 'stem')
    """
    name, _, index = role.partition(" ")
    if name not in ("label", "option") or right is None:
        return name
    return f"right {name}" if int(index) == right else f"wrong {name}"


def kinds_of(roles: Sequence[str], right: int | None) -> list[str]:
    """The kinds in the order of their first token."""
    return list(dict.fromkeys(kind(role, right) for role in roles))


def mass(
    rows: NDArray[np.float32], roles: Sequence[str], right: int | None, wanted: str
) -> NDArray[np.float32]:
    """The sum of `rows[..., position]` over the tokens of one kind."""
    chosen = np.array([kind(role, right) == wanted for role in roles])
    return np.asarray(rows[..., chosen].sum(axis=-1), np.float32)
