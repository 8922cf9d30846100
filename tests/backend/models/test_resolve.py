"""A name means one thing; every `auto` is decided and said why; unknown names are told what there is."""

import importlib
import os
import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from backend.contract.errors import ModelError, ResourceError
from backend.contract.model import DEVICES, ModelSpec
from backend.contract.progress import Progress
from backend.models import fingerprint, quantization
from backend.models.catalogue import catalogue
from backend.models.resolve import converted_folder, kind_of, resolve, usable_devices

# The package exports the function of the same name.
module = importlib.import_module("backend.models.resolve")


def cpu(name: str, dtype: str = "auto", quantization: str = "none") -> ModelSpec:
    return ModelSpec(name, dtype, quantization, "cpu")


def test_catalogue_model_is_known_before_it_is_fetched() -> None:
    for name, model in catalogue().items():
        resolved = resolve(cpu(name, "float32"))
        assert resolved.folder is None
        assert resolved.parameters == model.parameters
        assert resolved.weight_bytes == 4 * model.parameters
        assert len(resolved.fingerprint) == 16
    assert len({resolve(cpu(name)).fingerprint for name in catalogue()}) == len(catalogue())


def test_fetching_does_not_change_a_fingerprint(gguf: Path, converted: Path) -> None:
    before = resolve(cpu(str(gguf)))
    folder = converted_folder(str(gguf), "gguf")
    assert folder is not None
    shutil.copytree(converted, folder)
    after = resolve(cpu(str(gguf)))
    assert (before.folder, after.folder) == (None, folder)
    assert before.fingerprint == after.fingerprint


def test_folder_and_quantization_and_dtype(converted: Path) -> None:
    plain, four = resolve(cpu(str(converted))), resolve(cpu(str(converted), quantization="4bit"))
    assert plain.kind == "folder"
    assert plain.weight_bytes == 4 * plain.parameters
    assert four.weight_bytes < plain.weight_bytes
    half = resolve(cpu(str(converted), "bfloat16"))
    assert half.reason == "bfloat16: as asked"
    assert len({plain.fingerprint, four.fingerprint, half.fingerprint}) == 3


@pytest.mark.parametrize(
    ("name", "memory", "dtype"),
    [
        ("qwen2.5-coder-1.5b", 16e9, "float32"),
        ("qwen2.5-coder-1.5b", 8e9, "bfloat16"),
        ("qwen2.5-coder-0.5b", 8e9, "float32"),
        ("qwen2.5-coder-0.5b", 4e9, "bfloat16"),
    ],
)
def test_auto_is_float32_where_it_fits_and_says_why(
    monkeypatch: pytest.MonkeyPatch, name: str, memory: float, dtype: str
) -> None:
    monkeypatch.setattr(module, "total_memory", lambda device: int(memory))
    resolved = resolve(cpu(name))
    assert resolved.dtype == dtype
    assert resolved.reason.startswith(f"{dtype}: ")
    assert f"{memory / 1e9:.0f} GB of memory" in resolved.reason


def test_a_device_that_is_not_there_is_told_with_those_that_are(converted: Path) -> None:
    assert {"auto", "cpu"} <= {*usable_devices()} <= {*DEVICES}
    for device in {*DEVICES} - {*usable_devices()}:
        with pytest.raises(ResourceError, match=f"no device {device}. Use device auto or cpu"):
            resolve(ModelSpec(str(converted), "float32", device=device))


def test_what_is_quantized_is_not_offloaded(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_devices", lambda: DEVICES)
    assert resolve(ModelSpec(str(converted), "float32", device="auto")).device == "cuda"  # never by itself
    assert resolve(ModelSpec(str(converted), "float32", device="offload")).device == "offload"
    with pytest.raises(ModelError, match="Device offload cannot be combined with quantization 4bit"):
        resolve(ModelSpec(str(converted), "float32", "4bit", "offload"))


@pytest.mark.parametrize(
    "name", ["no-such-model", "a/b/c", "../x/y", "org/na me", "x" * 5000, "missing.gguf", "a\0b"]
)
def test_unknown_name_lists_the_catalogue_and_the_other_ways(name: str) -> None:
    with pytest.raises(
        ModelError, match=r"no model .*qwen2\.5-coder-1\.5b, .*hub id like org/name, a folder"
    ):
        resolve(cpu(name))


def test_a_folder_of_that_name_goes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kind_of("org/name") == "hub"
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert kind_of("org/name") == "folder"
    with pytest.raises(ModelError, match="needs its weights"):
        resolve(cpu("org/name"))


def test_what_was_digested_is_not_read_again(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(converted, tmp_path / "model")
    first = resolve(cpu(str(folder)))

    def read(path: Path, progress: Progress, message: str) -> str:
        raise AssertionError(f"{path} is digested again")

    monkeypatch.setattr(fingerprint, "sha256_of", read)
    assert resolve(cpu(str(folder))) == first
    os.utime(folder / "config.json", ns=(0, 0))
    with pytest.raises(AssertionError, match=r"config\.json is digested again"):
        resolve(cpu(str(folder)))


def test_quantizing_without_bitsandbytes_is_told_at_once(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(quantization, "version", nothing)
    with pytest.raises(ModelError, match="bitsandbytes, which cannot be used here: it is not installed"):
        resolve(cpu(str(converted), quantization="fp4"))
    resolve(cpu(str(converted)))
