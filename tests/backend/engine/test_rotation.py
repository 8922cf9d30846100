"""The measured rotation against what the model's own pass made of its queries and keys."""

import pytest
import torch

from backend.contract.errors import RequestError
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations

LAYER = 1


def test_it_is_the_models_own(family_instrument: Instrument) -> None:
    trace = family_instrument.trace(tuple(range(40, 52)))
    positions = (11, 3, 7)
    rotations = Rotations(family_instrument, LAYER)
    queries, keys = rotations.of_queries(trace, positions), rotations.of_keys(trace, positions)
    for place, position in enumerate(positions):
        for maps, plain, rotated in ((queries, trace.q, trace.q_rotated), (keys, trace.k, trace.k_rotated)):
            torch.testing.assert_close(
                plain[LAYER, position] @ maps[place], rotated[LAYER, :, position], atol=1e-5, rtol=1e-5
            )


def test_nothing_is_left_behind(plain_instrument: Instrument) -> None:
    ids = tuple(range(60, 70))
    with torch.no_grad():
        before = plain_instrument.model(torch.tensor([ids])).logits
        Rotations(plain_instrument, LAYER).of_keys(plain_instrument.trace(ids), (2,))
        torch.testing.assert_close(plain_instrument.model(torch.tensor([ids])).logits, before, atol=0, rtol=0)


def test_an_architecture_tried_by_structure_is_refused(
    plain_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(plain_instrument.family), "layer_by_layer", False)
    with pytest.raises(RequestError, match="cannot be called alone"):
        Rotations(plain_instrument, LAYER)
