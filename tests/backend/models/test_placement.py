"""A model whose layers are on several devices or fetched when they run gives the same numbers."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from backend.analyses.attribution.attribution import attribute
from backend.analyses.attribution.by_expert import by_expert
from backend.analyses.checks.self_check import refuse_failed, self_check
from backend.analyses.cost.machine import machine_of
from backend.analyses.prediction.prediction import logit_lens
from backend.contract.errors import ResourceError
from backend.contract.model import ModelSpec
from backend.contract.request import Request
from backend.engine.float32_layers import float32_layers
from backend.engine.gradients import forward
from backend.engine.instrument import Instrument
from backend.engine.paths import through_heads
from backend.engine.rotation import Rotations
from backend.engine.sweep import FinalRows, all_cells, components_of
from backend.engine.writes import head_changes, mlp_writes
from backend.models import load, memory_check, placement
from backend.models.families import family_of
from backend.models.placement import device_of, placed
from backend.models.silent_transformers import silent_transformers
from tests import hand_wired, tiny
from tests.backend.engine.sweep.one_component import sweep_cells
from tests.backend.service.serving import serving

IDS, OTHER, TOKENS = (1, 2, 3, 4, 5, 6), (1, 2, 9, 4, 5, 6), (5, 6, 7)
# Norms after the sublayers, fused and transposed projections, experts, side by side; one tried by structure.
FAMILIES = ("llama", "gpt2", "gemma2", "qwen2_moe", "falcon new", "phi", "olmo2", "arcee")

# The package exports the function of the same name.
resolving = importlib.import_module("backend.models.resolve")

Both = tuple[Instrument, Instrument]


def offloaded_map(model: PreTrainedModel) -> dict[str, str]:
    """All but the first layer and a tied embedding is on the disk: without data until it runs."""
    inner, _, layers = family_of(model).layers_at.rpartition(".")
    places = {f"{inner}.{layers}.{layer}": "disk" for layer in range(model.config.num_hidden_layers)}
    others = (name for name, _ in model.get_submodule(inner).named_children() if name != layers)
    places |= {"lm_head": "disk", **{f"{inner}.{name}": "disk" for name in others}}
    for place in places:
        weights = list(model.get_submodule(place).parameters())
        tied = (
            model.config.tie_word_embeddings
            and weights[:1]
            and weights[0] is model.get_input_embeddings().weight
        )
        if not weights or tied or place.endswith(".0"):
            places[place] = "cpu"
    return places


@pytest.fixture(scope="module", params=FAMILIES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """The same model held in memory, and offloaded."""
    folder = tmp_path_factory.mktemp("offloaded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiny.FAMILY_CONFIGS, "arcee", {"pad_token_id": 0})
        resident = tiny.tiny_model(request.param)
    resident.save_pretrained(folder)
    with silent_transformers():
        offloaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, device_map=offloaded_map(resident), offload_folder=folder / "offload"
        )
    offloaded.eval().requires_grad_(False)
    assert sum(parameter.is_meta for parameter in offloaded.parameters()) > 10
    one, other = (
        Instrument(tiny.loaded(each, tiny.tokenizer(), request.param)) for each in (resident, offloaded)
    )
    for instrument in (one, other):
        if not instrument.family.listed:
            self_check(instrument)  # which sees whether its layers can be called alone
    return one, other


def test_it_passes_the_self_check(both: Both) -> None:
    checks = self_check(both[1])
    refuse_failed("offloaded", checks)
    assert all(value < 2e-5 for value, _ in checks.values())


def test_layers_that_are_offloaded_are_copied_as_those_in_memory(both: Both) -> None:
    logits = []
    for instrument in both:
        small, ids = float32_layers(instrument.loaded, instrument.family, [0, 2], IDS)
        assert not any(parameter.is_meta for parameter in small.model.parameters())
        with torch.no_grad():
            logits.append(small.model(input_ids=torch.tensor([ids]), use_cache=False).logits)
    assert torch.equal(*logits)
    assert any(parameter.is_meta for parameter in both[1].model.parameters())


def test_every_reading_equals_that_of_the_model_in_memory(both: Both) -> None:
    def readings(instrument: Instrument) -> dict[str, torch.Tensor]:
        base, other = (instrument.trace(ids) for ids in (IDS, OTHER))
        found = attribute(instrument, base, TOKENS)
        prompt = instrument.prompt(hand_wired.question(0), hand_wired.SPEC)
        graph = forward(instrument, IDS)
        gradients = graph.gradients(graph.logits[5])
        readings = {
            "heads": found.heads,
            "bias": found.bias,
            "lens": logit_lens(instrument, base, prompt),
            "gradients": gradients.z,
            "head changes": head_changes(instrument, 2, base.z[2], other.z[2]),
        }
        if (experts := by_expert(instrument, base, found.directions, found.mlps)) is not None:
            readings["experts"] = experts.routed[2]
        if instrument.family.layer_by_layer:
            changes = (other.resid_pre[2] - base.resid_pre[2])[None]
            readings["paths"] = through_heads(instrument, base, 2, changes)
            rows = FinalRows(instrument, base, 1, cases=2)
            rows.go_up({0: other.z[1, -1, :1].repeat(2, 1)})
            readings["final rows"] = rows.inputs().q
            readings["rotation"] = Rotations(instrument, 2).of_queries(base, [3])
            readings["mlp"] = mlp_writes(instrument, base, 2, base.before_mlp(2))
        return readings

    resident, offloaded = (readings(instrument) for instrument in both)
    for name, expected in resident.items():
        torch.testing.assert_close(offloaded[name], expected, msg=name, rtol=1e-5, atol=1e-5)
    assert machine_of(both[1]).cones.peak > 0


@pytest.mark.sampled
@pytest.mark.parametrize("engine", ["cone", "full"])
def test_patching_equals_that_of_the_model_in_memory(
    both: tuple[Instrument, Instrument], engine: str
) -> None:
    shape = both[0].shape
    for component in components_of(shape):
        cells = all_cells(component, shape, [2, 5])[:: 1 if engine == "cone" else 7]
        one, other = (
            sweep_cells(instrument, IDS, OTHER, component, cells, TOKENS, vocabulary=True, engine=engine)
            for instrument in both
        )
        torch.testing.assert_close(other.logits, one.logits, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(other.logsumexp, one.logsumexp, rtol=1e-5, atol=1e-5)


def test_nothing_stays_in_memory_after_it_was_read(both: Both) -> None:
    offloaded = both[1]
    before = sum(parameter.is_meta for parameter in offloaded.model.parameters())
    attribute(offloaded, offloaded.trace(IDS), TOKENS)
    assert sum(parameter.is_meta for parameter in offloaded.model.parameters()) == before
    assert device_of(offloaded.family.layers(offloaded.model)[2]) == torch.device("cpu")


@pytest.fixture
def meta_model() -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(tiny.tiny_model("llama").config, dtype=torch.float32)


def test_layers_are_spread_only_where_they_do_not_fit_on_the_first_card(
    meta_model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = sum(parameter.nbytes for parameter in meta_model.parameters())
    free: dict[str, int] = {}
    monkeypatch.setattr(placement, "memory_by_device", lambda device: free)

    def put(**settings: bool) -> dict[str, Any] | None:
        return placed(lambda: meta_model, "cuda", weights + 1000, 1000, **settings)

    free |= {"cuda:0": weights + 1000, "cuda:1": weights}
    assert put() == {"device_map": {"": "cuda:0"}}
    free["cuda:0"] -= 1
    found = put()
    assert found is not None
    places = found["device_map"]
    assert places["model.embed_tokens"] == 0
    assert places["lm_head"] == 1
    free |= dict.fromkeys(free, weights // 2 + 1000)  # together enough, if layers could be cut
    assert put() is None
    free |= {"cpu": weights}
    found = put()
    assert found is not None
    assert set(found["device_map"].values()) == {0, 1, "cpu"}
    most = {0: weights // 2, 1: weights // 2, "cpu": weights - 1000}
    assert put(quantized=True) == {"device_map": "auto", "max_memory": most}
    free.clear()
    free |= {"mps": 10}
    assert put() == {"device_map": {"": "mps"}}


@pytest.mark.slow
def test_an_offloaded_model_says_that_it_is(
    meta_model: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk in place of the processor, which stands for the card."""
    tiny.tiny_model("llama").save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    monkeypatch.setattr(resolving, "usable_devices", lambda: ("auto", "cpu", "offload"))
    monkeypatch.setattr(placement, "placed", lambda read, *_: {"device_map": offloaded_map(read())})
    client = serving(tmp_path / "results")
    heads = []
    for device in ("cpu", "offload"):
        request = Request.build(
            "attribution",
            model=ModelSpec(str(tmp_path), "float32", device=device),
            question=hand_wired.question(1),
            prompt=hand_wired.SPEC,
        )
        job = client.submit(request)
        assert client.wait(job, 60).error == ""
        assert client.result(job).model["device"] == device
        heads.append(client.result(job)["heads"])
    np.testing.assert_allclose(heads[1], heads[0], rtol=1e-5, atol=1e-5)


def test_layers_that_do_not_fit_one_by_one_are_refused(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "usable_devices", lambda: ("auto", "cpu", "cuda", "offload"))
    monkeypatch.setattr(
        memory_check, "memory_by_device", lambda device: {"cuda:0": 10**9, "cuda:1": 2 * 10**9}
    )
    monkeypatch.setattr(placement, "placed", lambda *asked: None)
    told = r"layers of .* as float32 do not fit into the free memory: 1\.0 GB on cuda:0, 2\.0 GB on cuda:1\. .* offload"
    with pytest.raises(ResourceError, match=told):
        load(ModelSpec(str(converted), "float32", device="cuda"))
