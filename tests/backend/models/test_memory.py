"""Memory figures are this machine's, and freed memory goes back."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from backend.models import memory
from backend.models.accelerators import ask_torch
from backend.models.memory import (
    available_memory,
    held_bytes,
    is_out_of_memory,
    memory_by_device,
    return_freed,
    total_memory,
)


def test_figures_are_plausible() -> None:
    assert 0 < available_memory("cpu") <= total_memory("cpu") <= psutil.virtual_memory().total


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    limit.write_text("1000000\n")
    assert total_memory("cpu") == available_memory("cpu") == 1_000_000
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 200000\nactive_file 300000\ninactive_file 350000\n")
    assert available_memory("cpu") == 750_000
    (tmp_path / "memory.current").write_text("1900000\n")
    assert available_memory("cpu") == 0
    limit.write_text("max\n")
    assert total_memory("cpu") == psutil.virtual_memory().total
    assert available_memory("cpu") > 10**6


def test_what_is_mapped_from_a_file_is_not_held(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(64, 64)}, tmp_path / "weights")
    with safe_open(tmp_path / "weights", "pt") as file:
        mapped = file.get_tensor("weight")
    assert held_bytes([mapped]) == {}
    assert held_bytes([mapped, mapped.clone(), torch.zeros(3)]) == {"cpu": 4 * 64 * 64 + 12}
    assert held_bytes([torch.zeros(5, device="meta")]) == {"cpu": 20}  # a placeholder of what is offloaded


def test_cards_count_together_and_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    total, free = {0: 80, 1: 40}, {"cuda:0": 30, "cuda:1": 20}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda card: SimpleNamespace(total_memory=total[card])
    )
    monkeypatch.setattr(memory, "accelerators", ask_torch)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda card: (free[card], 80))
    # What torch keeps of freed blocks, it gives out again.
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda card: 9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda card: 4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1000, available=700))
    assert total_memory("cuda") == 120
    assert total_memory("offload") == 1120
    assert total_memory("cpu") == total_memory("mps") == 1000
    assert available_memory("cuda:1") == 25
    assert memory_by_device("cuda") == {"cuda:0": 35, "cuda:1": 25}
    assert memory_by_device("offload") == {"cuda:0": 35, "cuda:1": 25, "cpu": 700}
    assert memory_by_device("mps") == {"mps": 700}


def test_return_freed_can_be_called_any_time() -> None:
    return_freed("cpu")


def test_a_failed_allocation_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**60)
    assert is_out_of_memory(failed.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))
