"""What does not fit is refused with what would."""

import dataclasses
import importlib
from pathlib import Path

import pytest

from backend.contract.errors import ResourceError
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress, silent
from backend.models.memory_check import WORKING_BYTES, check_memory, memory_need
from backend.models.resolve import Resolved, resolve

module = importlib.import_module("backend.models.memory_check")
resolving = importlib.import_module(
    "backend.models.resolve"
)  # the package exports the function of the same name


@pytest.fixture
def large(converted: Path, monkeypatch: pytest.MonkeyPatch) -> Resolved:
    """A folder's model as if each of its weights were twelve thousand, and 4 GB free."""
    factor = 12_000

    def enlarged(spec: ModelSpec, progress: Progress | None = None) -> Resolved:
        found = resolve(spec, silent)
        return dataclasses.replace(found, weight_bytes=factor * found.weight_bytes)

    monkeypatch.setattr(module, "resolve", enlarged)
    monkeypatch.setattr(module, "memory_by_device", lambda device: {device: 4_000_000_000})
    return enlarged(ModelSpec(str(converted), "float32", "none", "cpu"))


def test_too_little_memory_is_told_with_what_would_fit(large: Resolved) -> None:
    needed = (large.weight_bytes + WORKING_BYTES) / 1e9
    assert needed > 4
    with pytest.raises(ResourceError) as error:
        check_memory(large)
    told = str(error.value)
    assert f"needs {needed:.1f} GB of memory, and 4.0 GB are free" in told
    assert f"bfloat16 ({large.weight_bytes / 2e9 + 0.6:.1f} GB)" in told
    assert "bfloat16 with quantization 4bit" in told
    assert told.endswith("the small model (--small).")


def test_only_what_fits_is_offered(large: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "memory_by_device", lambda device: {device: large.weight_bytes // 2 + WORKING_BYTES - 1}
    )
    others = memory_need(large).others
    assert others
    assert not any(other.startswith("bfloat16 (") for other in others)
    monkeypatch.setattr(module, "memory_by_device", lambda device: {device: 0})
    assert memory_need(large).others == ()


def places(device: str) -> dict[str, int]:
    """Two cards of 1 GB and a processor with 9."""
    cards = {"cuda:0": 10**9, "cuda:1": 10**9}
    return {"cuda": cards, "offload": {**cards, "cpu": 9 * 10**9}, "cpu": {"cpu": 9 * 10**9}}[device]


def test_free_memory_of_all_devices_counts_minus_the_working_memory_of_each(
    large: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "memory_by_device", places)
    monkeypatch.setattr(module, "_others", lambda resolved, returned: ())
    on_cards = dataclasses.replace(large, device="cuda", weight_bytes=2 * 10**9 - 2 * WORKING_BYTES)
    check_memory(on_cards)
    with pytest.raises(ResourceError, match=r"1\.4 GB are free for it on cuda"):
        check_memory(dataclasses.replace(on_cards, weight_bytes=on_cards.weight_bytes + 1))
    assert memory_need(dataclasses.replace(large, device="offload")).free == 11 * 10**9 - 2 * WORKING_BYTES


def test_what_is_too_large_for_the_cards_may_be_offloaded_where_that_fits(
    large: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "memory_by_device", places)
    monkeypatch.setattr(resolving, "usable_devices", lambda: ("auto", "cpu", "cuda", "offload"))
    on_cards = dataclasses.replace(large, device="cuda")
    needed = (large.weight_bytes + WORKING_BYTES) / 1e9
    with pytest.raises(ResourceError) as error:
        check_memory(on_cards)
    assert f"or try float32 on device offload ({needed:.1f} GB), " in str(error.value)
    assert "bfloat16 (" not in str(error.value)
    too_large = dataclasses.replace(on_cards, weight_bytes=10**11)
    monkeypatch.setattr(module, "resolve", lambda spec, progress: too_large)
    assert memory_need(too_large).others == ()
    offloaded = dataclasses.replace(large, device="offload", weight_bytes=10**11)
    monkeypatch.setattr(
        module,
        "resolve",
        lambda spec, progress: dataclasses.replace(large, weight_bytes=10**9, device=spec.device),
    )
    others = memory_need(offloaded).others
    assert "bfloat16 (1.6 GB)" in others
    assert not any(
        "quantization" in other for other in others
    )  # these would be on the cards, and do not fit there


def test_what_fits_is_let_through(converted: Path) -> None:
    resolved = resolve(ModelSpec(str(converted), "float32", "none", "cpu"))
    check_memory(resolved)
    need = memory_need(resolved)
    assert need.fits
    assert need.needed == resolved.weight_bytes + WORKING_BYTES
    assert need.others == ()


def test_what_comes_free_before_it_is_loaded_counts(large: Resolved) -> None:
    missing = large.weight_bytes + WORKING_BYTES - 4_000_000_000
    check_memory(large, missing)
    with pytest.raises(ResourceError):
        check_memory(large, missing - 1)


def test_a_hub_model_not_fetched_yet_has_no_size() -> None:
    assert memory_need(resolve(ModelSpec("nobody/nothing", "float32", "none", "cpu"))).needed == 0
