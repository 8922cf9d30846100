"""Where patched values come from, and which position stands for which."""

import random

import pytest
import torch

from backend.contract.components import COMPONENTS
from backend.contract.errors import RequestError
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    Cell,
    OwnValues,
    Pairing,
    Sweep,
    Wanted,
    all_cells,
    run_source,
    run_sweep,
)
from tests.backend.engine.sweep.one_component import sweep_cells
from tests.backend.engine.sweep.prompts import CLEAN, CLOSE, CORRUPTED, TOKENS, need

LONGER = (5, 17, 42, 9, 99, 13, 120, 11, 250, 64, 8, 30, 77)
MATCH = (0, 1, 2, 3, 4, *range(6, 13))
BACK = (0, 1, 2, 3, 4, None, *range(5, 12))


def test_prompts_of_one_length() -> None:
    pairing = Pairing((5, 6, 7, 8), (5, 6, 9, 8))
    assert pairing.aligned
    assert pairing.first == 2
    assert [pairing.unchanged(Cell(0, position)) for position in range(4)] == [True, True, False, False]
    assert Pairing((5, 6), (5, 6)).first == 2


def test_prompts_of_different_length() -> None:
    pairing = Pairing((5, 6, 7), (5, 6, 6, 7), match=(0, 2, 3))
    assert not pairing.aligned
    assert pairing.first == 2
    assert [pairing.unchanged(Cell(0, position)) for position in range(3)] == [True, False, False]
    assert pairing.counterpart(1) == 2
    with pytest.raises(RequestError, match="must have the same number of tokens; they have 3 and 4"):
        Pairing((5, 6, 7), (5, 6, 6, 7))


def test_no_counterpart() -> None:
    with pytest.raises(RequestError, match="Position 1 has no counterpart"):
        Pairing((5, 6), (5, 7, 6), match=(0, None)).counterpart(1)


def test_values_of_ones_own_are_put_like_a_runs(family_instrument: Instrument) -> None:
    """The other run's values, given one by one, and each experiment its own: numbers are not mixed up."""
    recorded = family_instrument.trace(CLEAN)
    sets = [[("z", Cell(1, 7, 3)), ("k", Cell(0, 6, 0))], [("mlp_out", Cell(0, 5))], [("z", Cell(1, 7, 3))]]
    values = {
        (number, (component, cell)): getattr(recorded, component)[
            (cell.layer, cell.position) if cell.head is None else (cell.layer, cell.position, cell.head)
        ]
        for number, nodes in enumerate(sets)
        for component, cell in nodes
    }
    values[2, ("z", Cell(1, 7, 3))] = torch.ones(family_instrument.shape.d_head)
    own, wanted = OwnValues(values), Wanted(TOKENS)
    cones = run_sweep(family_instrument, Sweep(CORRUPTED, own, sets, wanted))
    whole = run_sweep(family_instrument, Sweep(CORRUPTED, own, sets, wanted), engine="full")
    torch.testing.assert_close(cones.logits, whole.logits, **CLOSE)
    of_run = run_source(family_instrument, CORRUPTED, CLEAN)
    expected = run_sweep(family_instrument, Sweep(CORRUPTED, of_run, sets, wanted)).logits
    torch.testing.assert_close(cones.logits[:2], expected[:2], **CLOSE)
    assert (cones.logits[2] - expected[2]).abs().max() > 1e-3


@pytest.mark.sampled
@pytest.mark.parametrize("component", sorted(set(COMPONENTS) - {"pattern"}))
def test_patching_between_prompts_of_different_length(family_instrument: Instrument, component: str) -> None:
    need(family_instrument, component)
    shape = family_instrument.shape
    for base, source, match in ((CLEAN, LONGER, MATCH), (LONGER, CLEAN, BACK)):
        matched = [position for position, other in enumerate(match) if other is not None]
        cells = all_cells(component, shape, matched)
        cells = random.Random(1).sample(cells, len(cells) // 3)
        arguments = (family_instrument, base, source, component, cells, TOKENS)
        cones = sweep_cells(*arguments, match=match)
        whole = sweep_cells(*arguments, match=match, engine="full")
        torch.testing.assert_close(cones.logits, whole.logits, **CLOSE)
    if shape.model_type in ("gpt2", "opt"):  # their embeddings say which position it is
        return
    token = sweep_cells(family_instrument, CLEAN, LONGER, "resid_pre", [Cell(0, 6)], TOKENS, match=MATCH)
    with torch.no_grad():
        ids = [*CLEAN[:6], LONGER[7], *CLEAN[7:]]
        own = family_instrument.model(torch.tensor([ids])).logits[0, -1, list(TOKENS)]
    torch.testing.assert_close(token.logits[0], own, **CLOSE)


def test_what_has_no_counterpart_is_refused(family_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="Position 5 has no counterpart"):
        sweep_cells(family_instrument, LONGER, CLEAN, "z", [Cell(0, 5, 0)], TOKENS, match=BACK)
    with pytest.raises(RequestError, match="tokens are at the same positions"):
        sweep_cells(family_instrument, CLEAN, LONGER, "pattern", [Cell(0, 11, 0)], TOKENS, match=MATCH)
