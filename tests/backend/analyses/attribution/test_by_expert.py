"""A mixture's attribution by expert: as worked out from the weights, and adding up to the MLP's."""

import time
from pathlib import Path

import pytest
import torch
from torch.nn.functional import linear, silu

from backend.analyses import Task
from backend.analyses.attribution.attribution import attribute
from backend.analyses.attribution.by_expert import ByExpert, by_expert
from backend.analyses.attribution.schema import ATTRIBUTION
from backend.analyses.tolerance import tolerance
from backend.contract.model import ModelSpec
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.experts import expert_writes
from backend.engine.instrument import Instrument
from backend.models.load import load
from tests import hand_wired, tiny
from tests.app.opened import opened, titles
from tests.backend.service.serving import serving

IDS, TOKENS = (5, 9, 200, 31, 7), (5, 6, 7)
# Layers that are mixtures, and whether there is a shared expert.
MIXTURES = {"mixtral": ([0, 1, 2], False), "qwen2_moe": ([0, 2], True), "qwen3_moe": ([1], False)}
CHOSEN = 2


def instrument_of(name: str, dtype: torch.dtype = torch.float32) -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model(name).to(dtype), tiny.tokenizer(), name))


def found_in(instrument: Instrument) -> tuple[ByExpert, torch.Tensor]:
    """Attribution by expert, and by MLP."""
    recorded = instrument.trace(IDS)
    whole = attribute(instrument, recorded, TOKENS)
    found = by_expert(instrument, recorded, whole.directions, whole.mlps)
    assert found is not None
    return found, whole.mlps


@pytest.mark.parametrize("name", MIXTURES)
def test_experts_add_up_to_the_mlp(name: str) -> None:
    layers, has_shared = MIXTURES[name]
    found, mlps = found_in(instrument_of(name))
    assert (found.shared is not None) == has_shared
    total = found.routed.sum(1) if found.shared is None else found.routed.sum(1) + found.shared
    torch.testing.assert_close(total[layers], mlps[layers], rtol=1e-4, atol=1e-5)
    assert found.error < 1e-5
    assert (found.routed[layers] != 0).any(-1).sum(-1).tolist() == [CHOSEN] * len(layers)
    others = [layer for layer in range(3) if layer not in layers]
    assert bool(found.routed[others].isnan().all())
    if found.shared is not None:
        assert found.shared[layers].abs().max() > 1e-2


@pytest.mark.parametrize("name", MIXTURES)
def test_each_write_is_the_one_worked_out_from_the_weights(name: str) -> None:
    instrument, layer = instrument_of(name), MIXTURES[name][0][-1]
    recorded = instrument.trace(IDS)
    block = instrument.model.model.layers[layer]
    hidden = block.post_attention_layernorm(recorded.before_mlp(layer)[-1])
    chances = linear(hidden, block.mlp.gate.weight).softmax(-1)
    weights, chosen = chances.topk(CHOSEN)
    if getattr(instrument.model.config, "norm_topk_prob", True):
        weights = weights / weights.sum()
    expected = torch.zeros(4, instrument.shape.d_model)
    for expert, weight in zip(chosen.tolist(), weights, strict=True):
        gate, up = linear(hidden, block.mlp.experts.gate_up_proj[expert]).chunk(2)
        expected[expert] = weight * linear(silu(gate) * up, block.mlp.experts.down_proj[expert])
    found = expert_writes(instrument, recorded, layer)
    assert found is not None
    torch.testing.assert_close(found.routed, expected, rtol=1e-4, atol=1e-5)


def test_half_precision_is_within_its_limit() -> None:
    for name in MIXTURES:
        assert 0 < found_in(instrument_of(name, torch.bfloat16))[0].error < 0.05


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
@pytest.mark.slow
def test_quantized_mixtures_are_within_their_limit(tmp_path: Path, quantization: str) -> None:
    tiny.tiny_model("qwen2_moe").save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    instrument = Instrument(load(ModelSpec(str(tmp_path), "float32", quantization, "cpu")))
    found, _ = found_in(instrument)
    assert found.error < tolerance(instrument).identity / 10


@pytest.mark.parametrize("name", ["qwen2_moe", "mixtral", "qwen2"])
def test_a_result_has_experts_where_the_model_has(name: str) -> None:
    question = hand_wired.question(0)
    request = Request.build("attribution", question=question, prompt=hand_wired.SPEC)
    found = ATTRIBUTION.run(instrument_of(name), Task(request, (question,), ((),)), silent)
    assert ("experts" in found.arrays) == ("experts_error" in found.checks) == (name in MIXTURES)
    assert ("shared_expert" in found.arrays) == (name == "qwen2_moe")
    if name in MIXTURES:
        assert found.arrays["experts"].axes == ("layer", "expert", "label")
        assert found.ticks["expert"] == ("0", "1", "2", "3")
        value, limit = found.checks["experts_error"]
        assert value < limit


def test_the_page_shows_them(tmp_path: Path) -> None:
    tiny.tiny_model("qwen2_moe").save_pretrained(tmp_path / "model")
    tiny.tokenizer().save_pretrained(tmp_path / "model")
    client = serving(tmp_path / "store")
    model = ModelSpec(str(tmp_path / "model"), "float32", device="cpu")
    at = opened("attribution", client, model=model.name, dtype="float32", device="cpu")
    given_up = time.monotonic() + 300
    while not any(title.endswith(": experts") for title in titles(at)) and time.monotonic() < given_up:
        at.run(timeout=300)
    assert not at.exception
    assert any(title.endswith(": experts") for title in titles(at))
