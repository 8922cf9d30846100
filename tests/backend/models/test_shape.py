"""Sizes told by the config are those of the loaded model."""

import json
from pathlib import Path

import pytest

from backend.contract.errors import ModelError
from backend.contract.model import ModelSpec
from backend.models.families import family_of
from backend.models.resolve import Resolved, resolve
from backend.models.shape import known_shape
from tests import tiny


def saved(name: str, folder: Path) -> Resolved:
    tiny.tiny_model(name).save_pretrained(folder)
    return resolve(ModelSpec(str(folder), "float32", device="cpu"))


@pytest.mark.parametrize("name", tiny.FAMILY_CONFIGS)
def test_every_family_is_known_by_its_config(name: str, tmp_path: Path) -> None:
    model = tiny.tiny_model(name)
    assert known_shape(saved(name, tmp_path)) == family_of(model).shape(model)


def test_what_is_not_here_or_not_listed_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert known_shape(resolve(ModelSpec("qwen2.5-coder-0.5b", "float32", device="cpu"))) is None
    monkeypatch.setitem(tiny.FAMILY_CONFIGS, "arcee", {"pad_token_id": 0})
    assert known_shape(saved("arcee", tmp_path)) is None


def test_what_a_family_does_not_serve_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tiny.FAMILY_CONFIGS, "falcon", {"alibi": True})
    with pytest.raises(ModelError, match="adds position biases"):
        known_shape(saved("falcon", tmp_path))


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("gpt2", {"n_head": 0}, "its config gives no sizes .ZeroDivisionError"),
        ("opt", {"num_attention_heads": 0}, "its config gives no sizes .ZeroDivisionError"),
        ("gpt2", {"n_layer": -1}, "its config gives layers = -1"),
        ("llama", {"num_key_value_heads": 0}, "its config gives kv_heads = 0"),
    ],
)
def test_a_config_without_sizes_is_told(
    name: str, changes: dict[str, int], said: str, tmp_path: Path
) -> None:
    resolved, file = saved(name, tmp_path), tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    with pytest.raises(ModelError, match=f"cannot be loaded.*{said}"):
        known_shape(resolved)
