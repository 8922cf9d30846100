"""A replacement answers the attention calls while it is asked to, and no longer."""

import pytest
import torch
from torch import Tensor, nn

from backend.engine.attention_hook import replacing, usual_attention
from backend.engine.instrument import Instrument

IDS = torch.tensor([[5, 17, 42, 7, 99]])


def logits(instrument: Instrument) -> Tensor:
    with torch.no_grad():
        return instrument.model(input_ids=IDS, use_cache=False).logits


def test_the_usual_function_as_a_replacement_changes_nothing(family_instrument: Instrument) -> None:
    calls = []

    def usual(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        calls.append(module)
        return usual_attention(module, query, key, value, None, scaling=scaling)[0]

    before = logits(family_instrument)
    with replacing(family_instrument.model, usual):
        assert torch.equal(logits(family_instrument), before)
    assert len(calls) == family_instrument.shape.layers


def test_the_model_is_as_before_after_an_exception(family_instrument: Instrument) -> None:
    def broken(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        raise ZeroDivisionError

    before = logits(family_instrument)
    with pytest.raises(ZeroDivisionError), replacing(family_instrument.model, broken):
        logits(family_instrument)
    assert torch.equal(logits(family_instrument), before)
    assert family_instrument.model.config._attn_implementation == "sdpa"
