"""Some layers of a model as a small float32 model: which layers, in which groups, with which weights."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from backend.contract.errors import ResourceError
from backend.contract.model import ModelSpec
from backend.engine.float32_layers import float32_layers, groups_that_fit, telling_layers
from backend.engine.instrument import Instrument
from backend.engine.weights import dense
from backend.models import load
from backend.models.families import family_of
from tests import tiny

IDS = (80, 81, 90, 81)
AVAILABLE = "backend.engine.float32_layers.available_memory"


def a_model(monkeypatch: pytest.MonkeyPatch, name: str, **config: object) -> PreTrainedModel:
    monkeypatch.setitem(tiny.FAMILY_CONFIGS, name, {**tiny.FAMILY_CONFIGS[name], **config})
    return tiny.tiny_model(name)


def test_the_first_middle_and_last_layer_tell_and_one_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = a_model(monkeypatch, "llama", num_hidden_layers=9)
    assert telling_layers(plain, family_of(plain)) == [0, 4, 8]
    kinds = ["sliding_attention", "full_attention", *["sliding_attention"] * 7]
    windows = a_model(monkeypatch, "gemma2", num_hidden_layers=9, layer_types=kinds)
    assert telling_layers(windows, family_of(windows)) == [0, 1, 4, 8]
    dense_third = a_model(monkeypatch, "qwen2_moe", num_hidden_layers=9, mlp_only_layers=[2])
    assert telling_layers(dense_third, family_of(dense_third)) == [0, 2, 4, 8]


def test_layers_are_copied_together_as_far_as_there_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = a_model(monkeypatch, "llama").to(torch.bfloat16)
    family = family_of(model)
    one = 4 * sum(parameter.numel() for parameter in family.layers(model)[0].parameters())
    for free, groups in ((12 * one, [[0, 1, 2]]), (8 * one, [[0, 1], [2]]), (one, [[0], [1], [2]])):
        monkeypatch.setattr(AVAILABLE, lambda device, free=free: free)
        assert groups_that_fit(model, family, [0, 1, 2]) == groups
    monkeypatch.setattr(AVAILABLE, lambda device: one - 1)
    with pytest.raises(
        ResourceError, match=r"a layer in float32 needs 0.0 GB of memory, and 0.0 GB are free"
    ):
        groups_that_fit(model, family, [0, 1, 2])
    assert groups_that_fit(model.to(torch.float32), family, [0, 1, 2]) == [[0, 1, 2]]  # nothing is copied


@pytest.mark.parametrize("name", tiny.FAMILY_CONFIGS)
def test_all_layers_together_are_the_model_itself(name: str) -> None:
    loaded = tiny.loaded(tiny.tiny_model(name), tiny.tokenizer(), name)
    small, ids = float32_layers(loaded, family_of(loaded.model), [0, 1, 2], IDS)
    with torch.no_grad():
        own, copied = (
            each.model(input_ids=torch.tensor([each_ids]), use_cache=False).logits[0]
            for each, each_ids in ((loaded, IDS), (small, ids))
        )
    assert copied.shape[-1] == 67  # tokens 0 to 63, of which none is in the prompt but 80, 81 and 90
    assert (copied[:, list(ids)] - own[:, list(IDS)]).abs().max() < 1e-5


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_quantized_weights_are_those_that_the_model_uses(quantization: str, tmp_path: Path) -> None:
    tiny.tiny_model("gpt2").save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    instrument = Instrument(load(ModelSpec(str(tmp_path), "float32", quantization, "cpu")))
    family = instrument.family
    small, _ = float32_layers(instrument.loaded, family, [2], IDS)
    assert small.resolved.quantization == "none"
    ours, theirs = (
        family.output(family.attention(family.layers(model)[layer]))
        for model, layer in ((small.model, 0), (instrument.model, 2))
    )
    assert type(ours) is torch.nn.Linear
    assert torch.equal(ours.weight, dense(theirs))
    assert {parameter.dtype for parameter in small.model.parameters()} == {torch.float32}
