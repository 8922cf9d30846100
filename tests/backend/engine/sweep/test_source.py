"""Which position stands for which."""

import pytest

from backend.engine.sweep import Pairing
from backend.errors import RequestError


def test_prompts_of_one_length() -> None:
    pairing = Pairing((5, 6, 7, 8), (5, 6, 9, 8))
    assert pairing.aligned
    assert pairing.first == 2
    assert [pairing.unchanged(position) for position in range(4)] == [True, True, False, False]
    assert Pairing((5, 6), (5, 6)).first == 2


def test_prompts_of_different_length() -> None:
    pairing = Pairing((5, 6, 7), (5, 6, 6, 7), match=(0, 2, 3))
    assert not pairing.aligned
    assert pairing.first == 2
    assert [pairing.unchanged(position) for position in range(3)] == [True, False, False]
    assert pairing.counterpart(1) == 2
    with pytest.raises(RequestError, match="must have the same number of tokens; they have 3 and 4"):
        Pairing((5, 6, 7), (5, 6, 6, 7))


def test_no_counterpart() -> None:
    with pytest.raises(RequestError, match="Position 1 has no counterpart"):
        Pairing((5, 6), (5, 7, 6), match=(0, None)).counterpart(1)
