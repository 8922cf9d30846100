"""Headers are read right; what is missing, cut short or a pickle is named."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from backend.contract.errors import ModelError
from backend.models.weights import INDEX, SINGLE, read_weights


def test_counts_parameters_and_those_that_quantization_shrinks(tmp_path: Path) -> None:
    save_file(
        {
            "model.embed_tokens.weight": torch.zeros(10, 4),
            "model.layers.0.mlp.up_proj.weight": torch.zeros(8, 4),
            "model.norm.weight": torch.zeros(4),
        },
        tmp_path / SINGLE,
    )
    weights = read_weights(tmp_path)
    assert (weights.parameters, weights.linear) == (76, 32)
    assert weights.bytes_as("float32", "none") == 304
    assert weights.bytes_as("bfloat16", "none") == 152
    assert weights.bytes_as("bfloat16", "8bit") == 2 * 44 + 32
    assert weights.bytes_as("float32", "4bit") == 4 * 44 + 18


@pytest.mark.parametrize("keep", [0, 5, 50, -1])
def test_file_cut_short_is_named(converted: Path, tmp_path: Path, keep: int) -> None:
    content = next(converted.glob("*.safetensors")).read_bytes()
    (tmp_path / SINGLE).write_bytes(content[:keep])
    with pytest.raises(ModelError, match=rf"{SINGLE}.*(damaged|cut short).*Fetch"):
        read_weights(tmp_path)


def test_file_too_long_is_named(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / SINGLE)
    os.truncate(tmp_path / SINGLE, 1000)
    with pytest.raises(ModelError, match="has 1000 bytes"):
        read_weights(tmp_path)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(ModelError, match=r"gone\.safetensors.* is missing"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "index", ["", "[]", '{"weight_map": 3}', '{"weight_map": {}}', '{"weight_map": {"a": "../b"}}']
)
def test_damaged_index_is_told(tmp_path: Path, index: str) -> None:
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(ModelError, match=INDEX):
        read_weights(tmp_path)


def test_pickle_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"only pytorch_model\.bin, a pickle, which can run code"):
        read_weights(tmp_path)


def test_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it has none"):
        read_weights(tmp_path)
