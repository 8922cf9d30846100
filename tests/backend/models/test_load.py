"""A loaded model is the published one, held as asked; what does not fit or is damaged is refused first."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from backend.contract.errors import ModelError, ResourceError
from backend.contract.model import ModelSpec
from backend.engine.weights import dense
from backend.models.load import RunnableModel, load, prepare, release
from backend.models.quantization import QUANTIZED_BYTES
from tests import tiny

IDS = torch.tensor([[5, 9, 200, 31, 7]])


def cpu(folder: Path, dtype: str = "float32", quantization: str = "none") -> ModelSpec:
    return ModelSpec(str(folder), dtype, quantization, "cpu")


def logits(loaded: RunnableModel) -> torch.Tensor:
    with torch.no_grad():
        return loaded.model(IDS).logits[0].float()


@pytest.fixture(scope="module")
def exact(converted: Path) -> RunnableModel:
    return load(cpu(converted))


QUANTIZED = pytest.mark.parametrize(
    "quantized",
    ["8bit", "4bit-double", *(pytest.param(how, marks=pytest.mark.slow) for how in ("4bit", "fp4"))],
    indirect=True,
)


@pytest.fixture(scope="module")
def quantized(request: pytest.FixtureRequest, converted: Path) -> RunnableModel:
    """Once held in each of the ways."""
    return load(cpu(converted, quantization=request.param))


def test_logits_equal_plain_transformers(converted: Path) -> None:
    loaded = load(cpu(converted))
    plain = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(logits(loaded), plain(IDS).logits[0])
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.model.config._attn_implementation == "sdpa"
    assert loaded.tokenizer.is_fast


def test_attention_is_the_one_that_the_family_needs(tmp_path: Path) -> None:
    """The fused kernel has no soft cap on scores."""
    tiny.tiny_model("gemma2").save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    assert load(cpu(tmp_path)).model.config._attn_implementation == "eager"


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_dtype_is_the_one_asked_for(converted: Path, dtype: str) -> None:
    loaded = load(cpu(converted, dtype))
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {getattr(torch, dtype)}


@QUANTIZED
def test_quantized_is_near_and_smaller(exact: RunnableModel, quantized: RunnableModel) -> None:
    drift = {"8bit": 0.05, "4bit": 0.7, "4bit-double": 0.7, "fp4": 0.8}[quantized.resolved.quantization]
    relative = (logits(quantized) - logits(exact)).norm() / logits(exact).norm()
    assert 0 < relative < drift
    footprint = quantized.model.get_memory_footprint()
    assert footprint < 4 * quantized.resolved.parameters
    assert abs(footprint / quantized.resolved.weight_bytes - 1) < 0.1


@pytest.mark.parametrize(
    "quantization",
    ["4bit-double", *(pytest.param(how, marks=pytest.mark.slow) for how in ("8bit", "4bit", "fp4"))],
)
def test_quantizing_is_silent(converted: Path, quantization: str, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load(cpu(converted, quantization=quantization))
    logits(loaded)
    assert capfd.readouterr() == ("", "")  # neither library's bars and warnings
    release(loaded)


@QUANTIZED
def test_quantized_weights_can_be_read_back_after_a_forward_pass(
    exact: RunnableModel, quantized: RunnableModel
) -> None:
    error = {"8bit": 0.02, "4bit": 0.12, "4bit-double": 0.12, "fp4": 0.15}[quantized.resolved.quantization]
    logits(quantized)
    found = dense(quantized.model.model.layers[1].self_attn.o_proj)
    expected = exact.model.model.layers[1].self_attn.o_proj.weight
    assert (found - expected).norm() / expected.norm() < error  # on normal numbers: 0.007, 0.09, 0.09, 0.12
    before = quantized.model.get_memory_footprint()
    dense(quantized.model.model.layers[0].self_attn.o_proj)
    assert quantized.model.get_memory_footprint() == before


@pytest.mark.parametrize(
    "quantized",
    ["4bit-double", *(pytest.param(how, marks=pytest.mark.slow) for how in ("4bit", "fp4"))],
    indirect=True,
)
def test_four_bits_take_the_bytes_foretold(quantized: RunnableModel) -> None:
    quantization = quantized.resolved.quantization
    held = weights = 0
    for module_ in quantized.model.modules():
        state = getattr(getattr(module_, "weight", None), "quant_state", None)
        if state is not None:
            held += module_.weight.nbytes + state.absmax.nbytes
            held += state.state2.absmax.nbytes if state.nested else 0
            weights += 2 * module_.weight.numel()
    assert held / weights == pytest.approx(QUANTIZED_BYTES[quantization], rel=0.01)


@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "bfloat16"])
def test_quantized_models_compute_in_their_dtype(converted: Path, dtype: str) -> None:
    loaded = load(cpu(converted, dtype, "4bit-double"))
    assert loaded.model.model.layers[0].mlp.up_proj.compute_dtype == getattr(torch, dtype)


def test_without_bitsandbytes_it_is_told_what_to_install(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # importing it then fails
    with pytest.raises(ModelError, match=r"needs the package bitsandbytes.*pip install bitsandbytes"):
        load(cpu(converted, quantization="4bit"))


def test_what_is_prepared_is_loaded_only_if_it_still_fits(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other programs may have taken the memory that was to come free."""
    read = prepare(cpu(converted), returned=10**15)
    assert torch.equal(logits(read()), logits(load(cpu(converted))))
    monkeypatch.setattr("backend.models.memory_check.memory_by_device", lambda device: {device: 0})
    read = prepare(cpu(converted), returned=10**15)
    with pytest.raises(ResourceError, match=r"0\.0 GB are free for it"):
        read()


@pytest.mark.slow
def test_a_tokenizer_is_kept_until_the_model_is_another(converted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(converted, folder)
    first = prepare(cpu(folder))().tokenizer
    assert prepare(cpu(folder))().tokenizer is first
    file = folder / "tokenizer.json"
    changed = json.loads(file.read_text(encoding="utf-8"))
    ids = changed["model"]["vocab"]
    ids["B"], ids["C"] = ids["C"], ids["B"]
    file.write_text(json.dumps(changed), encoding="utf-8")
    second = prepare(cpu(folder))().tokenizer
    assert second("B").input_ids == first("C").input_ids != first("B").input_ids


def test_release_takes_the_model_apart(converted: Path) -> None:
    loaded = load(cpu(converted))
    release(loaded)
    assert list(loaded.model.parameters()) == []


def test_damaged_shard_is_told_before_loading(converted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(converted, folder)
    shard = next(folder.glob("*.safetensors"))
    os.truncate(shard, 1000)
    with pytest.raises(ModelError, match=f"{shard.name}.*Fetch the model again"):
        load(cpu(folder))


def test_weights_that_are_missing_are_refused_not_drawn_at_random(converted: Path, tmp_path: Path) -> None:
    tensors = load_file(next(converted.glob("*.safetensors")))
    del tensors["model.norm.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(converted / name, tmp_path / name)
    with pytest.raises(ModelError, match=r"1 weights are missing, the first model\.norm\.weight"):
        load(cpu(tmp_path))


@pytest.mark.parametrize(
    ("name", "leftover"),
    [
        ("gpt2", "transformer.h.0.attn.masked_bias"),
        ("opt", "model.decoder.version"),
        ("opt", "decoder.version"),
    ],
)
def test_constants_of_older_checkpoints_are_left_out(name: str, leftover: str, tmp_path: Path) -> None:
    model = tiny.tiny_model(name)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file({**load_file(file), leftover: torch.tensor([2.0])}, file, metadata={"format": "pt"})
    with torch.no_grad():
        torch.testing.assert_close(logits(load(cpu(tmp_path))), model(IDS).logits[0])


@pytest.mark.parametrize("name", ["transformer.h.0.attn.more_bias", "transformer.version"])
def test_other_weights_without_a_place_are_refused(name: str, tmp_path: Path) -> None:
    tiny.tiny_model("gpt2").save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file({**load_file(file), name: torch.tensor([2.0])}, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"1 weights are not used .* first {name}"):
        load(cpu(tmp_path))


@pytest.mark.parametrize("change", [{"hidden_size": 32}, {"model_type": "no-such-type"}])
def test_config_that_does_not_fit_is_refused(
    converted: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(converted, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(cpu(folder))
