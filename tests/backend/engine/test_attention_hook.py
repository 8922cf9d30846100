"""A replacement answers the attention calls while it is asked to, and no longer."""

import pytest
import torch
from torch import Tensor, nn

from backend.engine.attention_hook import replacing, usual_function
from backend.engine.instrument import Instrument


class OneHeadEach(nn.Module):
    """Stands for an attention module whose keys were repeated for the heads that share them."""

    num_key_value_groups = 1
    is_causal = True


IDS = torch.tensor([[5, 17, 42, 7, 99]])


def logits(instrument: Instrument) -> Tensor:
    with torch.no_grad():
        return instrument.model(input_ids=IDS, use_cache=False).logits


def test_the_usual_function_as_a_replacement_changes_nothing(family_instrument: Instrument) -> None:
    calls = []
    recorded = family_instrument.trace(tuple(IDS[0].tolist()))

    def usual(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        mask, cap = recorded.masks[len(calls)], recorded.softcaps[len(calls)]
        calls.append(module)
        settings = {"scaling": scaling} if cap is None else {"scaling": scaling, "softcap": cap}
        mask = None if mask is None else mask[None, None]
        key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value))
        return usual_function(module)(OneHeadEach(), query, key, value, mask, **settings)[0]

    before = logits(family_instrument)
    with replacing(family_instrument.model, family_instrument.family, usual):
        torch.testing.assert_close(logits(family_instrument), before, atol=3e-6, rtol=0)
    assert len(calls) == family_instrument.shape.layers


def test_the_model_is_as_before_after_an_exception(family_instrument: Instrument) -> None:
    def broken(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        raise ZeroDivisionError

    before = logits(family_instrument)
    usual = family_instrument.model.config._attn_implementation
    with (
        pytest.raises(ZeroDivisionError),
        replacing(family_instrument.model, family_instrument.family, broken),
    ):
        logits(family_instrument)
    assert torch.equal(logits(family_instrument), before)
    assert family_instrument.model.config._attn_implementation == usual
