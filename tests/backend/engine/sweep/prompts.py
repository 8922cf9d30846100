"""The prompts that sweeps are tested on, and cells of them."""

import random
from typing import Any

import pytest

from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, all_cells, components_of

CLEAN = (5, 17, 42, 7, 99, 120, 3, 250, 64, 8, 31, 77)
CORRUPTED = (5, 17, 42, 9, 99, 120, 11, 250, 64, 8, 30, 77)
FIRST = 3
TOKENS = (1, 77, 300)
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


def need(instrument: Instrument, component: str) -> None:
    if component not in components_of(instrument.shape):
        pytest.skip(f"{instrument.resolved.name} has no {component}")


def ragged(instrument: Instrument, component: str, seed: int, share: float = 0.3) -> list[Cell]:
    """A random share of all cells, in a random order."""
    cells = all_cells(component, instrument.shape, range(len(CLEAN)))
    return random.Random(seed).sample(cells, int(share * len(cells)))
