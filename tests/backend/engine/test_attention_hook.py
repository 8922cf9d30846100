"""A replacement answers the attention calls while it is asked to, and no longer."""

import pytest
import torch
from torch import Tensor, nn

from backend.engine.attention_call import AttentionCall, usual_function
from backend.engine.attention_hook import listening, replacing
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
    calls: list[object] = []
    recorded = family_instrument.trace(tuple(IDS[0].tolist()))

    def usual(call: AttentionCall) -> Tensor:
        mask, cap = recorded.masks[len(calls)], recorded.softcaps[len(calls)]
        calls.append(call.module)
        settings = {"scaling": call.scaling} if cap is None else {"scaling": call.scaling, "softcap": cap}
        mask = None if mask is None else mask[None, None]
        heads = call.query.shape[1]
        key, value = (part.repeat_interleave(heads // part.shape[1], 1) for part in (call.key, call.value))
        return usual_function(call.module)(OneHeadEach(), call.query, key, value, mask, **settings)[0]

    before = logits(family_instrument)
    with replacing(family_instrument.model, family_instrument.family, usual):
        torch.testing.assert_close(logits(family_instrument), before, atol=3e-6, rtol=0)
    assert len(calls) == family_instrument.shape.layers


def test_a_listener_changes_no_bit_and_sees_what_a_replacement_sees(family_instrument: Instrument) -> None:
    seen: list[AttentionCall] = []
    before = logits(family_instrument)
    with listening(family_instrument.model, family_instrument.family, seen.append):
        assert torch.equal(logits(family_instrument), before)
    modules = [
        family_instrument.family.attention(layer)
        for layer in family_instrument.family.layers(family_instrument.model)
    ]
    assert [call.module for call in seen] == modules
    shape, tokens = family_instrument.shape, IDS.shape[1]
    for call in seen:
        assert call.query.shape == (1, shape.heads, tokens, shape.d_head)
        assert call.key.shape == call.value.shape == (1, shape.kv_heads, tokens, shape.d_head)
        assert call.zeros().shape == (1, tokens, shape.heads, shape.d_head)


def test_the_model_is_as_before_after_an_exception(family_instrument: Instrument) -> None:
    def broken(call: AttentionCall) -> Tensor:
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
