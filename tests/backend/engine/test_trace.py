"""A trace is what the unmodified model does, in every family."""

import pytest
import torch

from backend.engine.instrument import Instrument
from backend.engine.pattern import final_rows, full_pattern
from backend.engine.trace import trace
from backend.errors import Cancelled
from backend.questions.prompt import PromptSpec
from backend.questions.question import Question
from tests import tiny

IDS = (5, 17, 42, 7, 99, 120, 3, 250, 64, 8, 31, 77)


def record(instrument: Instrument, ids: tuple[int, ...] = IDS):
    return trace(instrument.model, instrument.family, ids)


def plain(instrument: Instrument, **settings: bool | int):
    with torch.no_grad():
        return instrument.model(input_ids=torch.tensor([IDS]), use_cache=False, **settings)


def count_hooks(instrument: Instrument) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in instrument.model.modules())


def test_logits_are_the_models_own_to_the_last_bit(family_instrument: Instrument) -> None:
    recorded = record(family_instrument).logits
    assert torch.equal(recorded, plain(family_instrument, logits_to_keep=1).logits[0, -1])
    # One row through the unembedding rounds a little differently from all rows at once.
    torch.testing.assert_close(recorded, plain(family_instrument).logits[0, -1], atol=1e-5, rtol=1e-5)


def test_residual_stream_is_the_models_hidden_states(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    states = plain(family_instrument, output_hidden_states=True).hidden_states
    for layer in range(family_instrument.shape.layers):
        assert torch.equal(recorded.resid_pre[layer], states[layer][0])
    normed = family_instrument.family.final_norm(family_instrument.model)(recorded.resid_final)
    assert torch.equal(normed, states[-1][0])


def test_sublayers_add_up_to_the_residual_stream(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    after = torch.cat([recorded.resid_pre[1:], recorded.resid_final[None]])
    torch.testing.assert_close(recorded.resid_pre + recorded.attn_out, recorded.resid_mid)
    torch.testing.assert_close(recorded.resid_mid + recorded.mlp_out, after)


def test_z_through_the_output_projection_is_what_attention_wrote(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    for layer in range(family_instrument.shape.layers):
        written = torch.einsum("phd,mhd->pm", recorded.z[layer], family_instrument.weights.output(layer))
        bias = family_instrument.weights.output_bias(layer)
        written = written if bias is None else written + bias
        torch.testing.assert_close(written, recorded.attn_out[layer], atol=1e-5, rtol=1e-5)


def test_patterns_are_those_of_eager_attention(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    model = family_instrument.model
    model.set_attn_implementation("eager")
    try:
        patterns = plain(family_instrument, output_attentions=True).attentions
    finally:
        model.set_attn_implementation("sdpa")
    for layer, own in enumerate(patterns):
        torch.testing.assert_close(final_rows(recorded, layer), own[0, :, -1], atol=1e-5, rtol=1e-4)
        for head in range(family_instrument.shape.heads):
            torch.testing.assert_close(
                full_pattern(recorded, layer, head), own[0, head], atol=1e-5, rtol=1e-4
            )


def test_queries_and_keys_are_recorded_before_the_rotary_embedding(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    model = family_instrument.model
    cos, sin = model.model.rotary_emb(recorded.resid_final[None], torch.arange(len(IDS))[None])

    def rotate(value: torch.Tensor) -> torch.Tensor:
        first, second = value.chunk(2, dim=-1)
        return value * cos[0] + torch.cat([-second, first], dim=-1) * sin[0]

    for layer in range(family_instrument.shape.layers):
        queries = rotate(recorded.q[layer].transpose(0, 1))
        keys = rotate(recorded.k[layer].transpose(0, 1))
        torch.testing.assert_close(queries, recorded.q_rotated[layer])
        torch.testing.assert_close(keys, recorded.k_rotated[layer])


def test_nothing_is_larger_than_one_layer_of_heads(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    shape = family_instrument.shape
    bound = shape.layers * len(IDS) * max(shape.d_model, shape.heads * shape.d_head)
    tensors = [value for value in vars(recorded).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 12
    assert all(value.numel() <= max(bound, shape.vocabulary) for value in tensors)


def test_the_model_is_as_before_after_a_cancelled_pass(family_instrument: Instrument) -> None:
    before = plain(family_instrument).logits
    hooks = count_hooks(family_instrument)

    def cancel_at_the_second_layer(message: str, done: int = 0, total: int = 0) -> None:
        if done == 1:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        trace(family_instrument.model, family_instrument.family, IDS, cancel_at_the_second_layer)
    assert torch.equal(plain(family_instrument).logits, before)
    assert count_hooks(family_instrument) == hooks
    assert family_instrument.model.config._attn_implementation == "sdpa"


def test_a_bfloat16_model_is_recorded_in_float32() -> None:
    instrument = Instrument(
        tiny.loaded(tiny.tiny_model("qwen2").to(torch.bfloat16), tiny.tokenizer(), "bfloat")
    )
    recorded = record(instrument)
    assert recorded.z.dtype == recorded.logits.dtype == torch.float32
    own = plain(instrument, logits_to_keep=1).logits[0, -1].float()
    assert torch.equal(recorded.logits, own)


def test_one_pass_serves_every_view_of_a_prompt(hand_wired_instrument: Instrument) -> None:
    question = Question(stem="pick alpha", options=("red", "blue"), subject="red")
    prompt = hand_wired_instrument.prompt(question, PromptSpec())
    assert hand_wired_instrument.trace(prompt.token_ids) is hand_wired_instrument.trace(prompt.token_ids)
