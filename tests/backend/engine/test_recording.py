"""A trace is what the unmodified model does, in every family."""

from typing import Any

import pytest
import torch

from backend.contract.errors import Cancelled
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.instrument import Instrument
from backend.engine.pattern import final_rows, full_pattern
from backend.engine.recording import trace
from backend.engine.trace import Trace, trace_bytes
from tests import tiny
from tests.backend.engine.hooks import count_hooks

IDS = (5, 17, 42, 7, 99, 120, 3, 250, 64, 8, 31, 77)


def record(instrument: Instrument, ids: tuple[int, ...] = IDS) -> Trace:
    return trace(instrument.model, instrument.family, ids)


def plain(instrument: Instrument, **settings: bool | int) -> Any:
    with torch.no_grad():
        return instrument.model(input_ids=torch.tensor([IDS]), use_cache=False, **settings)


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
    torch.testing.assert_close(recorded.resid_pre + recorded.attn_out + recorded.mlp_out, after)
    assert (recorded.resid_mid is None) == family_instrument.shape.parallel
    if recorded.resid_mid is not None:
        torch.testing.assert_close(recorded.resid_pre + recorded.attn_out, recorded.resid_mid)


def test_heads_add_up_to_what_attention_wrote(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    for layer in range(family_instrument.shape.layers):
        for position in (0, 5, 11):
            z = recorded.z[layer, position]
            matrix, offset = family_instrument.weights.written(layer, z)
            written = torch.einsum("hd,mhd->m", z, matrix)
            written = written if offset is None else written + offset
            torch.testing.assert_close(written, recorded.attn_out[layer, position], atol=1e-5, rtol=1e-5)


def test_the_unembedding_gives_the_logits_but_for_caps_and_scalings(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    weights, model = family_instrument.weights, family_instrument.model
    assert torch.equal(recorded.unembedded, recorded.logits) == weights.logits_are_unembedded
    normed = family_instrument.family.final_norm(model)(recorded.resid_final[-1:])
    everything = torch.arange(family_instrument.shape.vocabulary)
    torch.testing.assert_close(weights.unembed(normed, everything)[0], recorded.logits)


def test_patterns_are_those_of_eager_attention(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    model = family_instrument.model
    usual = model.config._attn_implementation
    model.config._attn_implementation = "eager"
    try:
        patterns = plain(family_instrument, output_attentions=True).attentions
    finally:
        model.config._attn_implementation = usual
    for layer, own in enumerate(patterns):
        torch.testing.assert_close(final_rows(recorded, layer), own[0, :, -1], atol=1e-5, rtol=1e-4)
        for head in range(family_instrument.shape.heads):
            torch.testing.assert_close(
                full_pattern(recorded, layer, head), own[0, head], atol=1e-5, rtol=1e-4
            )


def rotated(instrument: Instrument, layer: int, value: torch.Tensor) -> torch.Tensor:
    """Rotary embedding (Su et al. 2021, eq. 34) of `[position, head, d_head]`, from the config alone.

    The pairs that are turned are neighbours in some families, and in most the same places in two halves.
    """
    config = instrument.model.config
    rope = getattr(config, "rope_parameters", None)
    if config.model_type == "gptj":
        rope = {"rope_theta": 1e4, "partial_rotary_factor": config.rotary_dim / value.shape[-1]}
    if rope is None or not turns(config, layer):
        return value
    rope = rope if "rope_theta" in rope else rope[config.layer_types[layer]]
    turning = int(value.shape[-1] * rope.get("partial_rotary_factor", 1))
    speeds = rope["rope_theta"] ** -(torch.arange(0, turning, 2) / turning)
    angles = torch.outer(torch.arange(len(value)), speeds)[:, None]
    moving, still = value[..., :turning], value[..., turning:]
    neighbours = config.model_type in ("cohere", "cohere2", "glm4", "gptj")
    first, second = (moving[..., ::2], moving[..., 1::2]) if neighbours else moving.chunk(2, dim=-1)
    pairs = (first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin())
    turned = torch.stack(pairs, dim=-1).flatten(-2) if neighbours else torch.cat(pairs, dim=-1)
    return torch.cat([turned, still], dim=-1)


def turns(config: Any, layer: int) -> bool:
    """Whether a layer turns its queries and keys: some families leave out those without a sliding window."""
    if config.model_type in ("cohere2", "exaone4"):
        return bool(config.layer_types[layer] == "sliding_attention")
    return bool(getattr(config, "no_rope_layers", [1] * config.num_hidden_layers)[layer])


def test_queries_and_keys_are_recorded_before_the_rotary_embedding(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    # OPT scales its queries, not the scores.
    factor = family_instrument.shape.d_head**-0.5 if family_instrument.shape.model_type == "opt" else 1
    for layer in range(family_instrument.shape.layers):
        queries = rotated(family_instrument, layer, recorded.q[layer]) * factor
        keys = rotated(family_instrument, layer, recorded.k[layer])
        torch.testing.assert_close(queries.transpose(0, 1), recorded.q_rotated[layer])
        torch.testing.assert_close(keys.transpose(0, 1), recorded.k_rotated[layer])


def test_nothing_is_larger_than_one_layer_of_heads(family_instrument: Instrument) -> None:
    recorded = record(family_instrument)
    shape = family_instrument.shape
    bound = shape.layers * len(IDS) * max(shape.d_model, shape.heads * shape.d_head)
    tensors = [value for value in vars(recorded).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == (12 if shape.parallel else 13)
    assert all(value.numel() <= max(bound, shape.vocabulary) for value in tensors)


def test_the_model_is_as_before_after_a_cancelled_pass(family_instrument: Instrument) -> None:
    before = plain(family_instrument).logits
    hooks = count_hooks(family_instrument)
    usual = family_instrument.model.config._attn_implementation

    def cancel_at_the_second_layer(message: str, done: int = 0, total: int = 0) -> None:
        if done == 1:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        trace(family_instrument.model, family_instrument.family, IDS, cancel_at_the_second_layer)
    assert torch.equal(plain(family_instrument).logits, before)
    assert count_hooks(family_instrument) == hooks
    assert family_instrument.model.config._attn_implementation == usual


@pytest.mark.parametrize("name", tiny.FAMILY_CONFIGS)
def test_a_bfloat16_model_is_recorded_in_float32(name: str) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model(name).to(torch.bfloat16), tiny.tokenizer(), name))
    recorded = record(instrument)
    assert recorded.z.dtype == recorded.logits.dtype == torch.float32
    own = plain(instrument, logits_to_keep=1).logits[0, -1].float()
    assert torch.equal(recorded.logits, own)


def test_the_row_that_is_unembedded_stands_apart(family_instrument: Instrument) -> None:
    seen: list[torch.Tensor] = []
    unembedding = family_instrument.family.unembedding(family_instrument.model)
    hook = unembedding.register_forward_hook(lambda _, args, output: seen.append(args[0]))
    try:
        record(family_instrument)
    finally:
        hook.remove()
    (rows,) = seen
    assert rows.stride() == torch.empty(rows.shape).stride()
    assert rows.untyped_storage().nbytes() == rows.nbytes


def test_one_pass_serves_every_view_of_a_prompt(hand_wired_instrument: Instrument) -> None:
    question = Question(stem="pick alpha", options=("red", "blue"), subject="red")
    prompt = hand_wired_instrument.prompt(question, PromptSpec())
    assert hand_wired_instrument.trace(prompt.token_ids) is hand_wired_instrument.trace(prompt.token_ids)


def test_two_runs_are_kept_however_long_they_are(
    family_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engine.instrument.CACHED_TRACES_BYTES", 0)
    one, other, third = (tuple(range(first, first + 5)) for first in (1, 2, 3))
    both = family_instrument.trace(one), family_instrument.trace(other)
    assert (family_instrument.trace(one), family_instrument.trace(other)) == both
    family_instrument.trace(one)
    family_instrument.trace(third)
    assert family_instrument.cached_bytes() == 2 * both[0].nbytes
    assert family_instrument.trace(one) is both[0]
    assert family_instrument.trace(other) is not both[1]


def test_a_trace_has_the_size_that_is_computed_for_it(family_instrument: Instrument) -> None:
    found = family_instrument.trace(tuple(range(20)))
    ends = sum(part.nbytes for part in (found.resid_final, found.unembedded, found.logits))
    assert trace_bytes(family_instrument.shape, 20) == found.nbytes - ends
