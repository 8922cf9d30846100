"""How much memory there is, for weights on the processor or on a graphics card."""

import ctypes
import gc
from pathlib import Path

import psutil

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def total_memory(device: str) -> int:
    """Bytes of memory that the machine (or the container, or the graphics card) has."""
    if device == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(0).total_memory)
    return min(int(psutil.virtual_memory().total), _container_limit())


def available_memory(device: str) -> int:
    """Bytes that could be taken now; file cache counts as free."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(0)[0])
    return min(int(psutil.virtual_memory().available), _container_limit())


def return_freed(device: str) -> None:
    """Give freed memory back to the system: glibc keeps blocks under 32 MB, 0.5 to 2 GB after loading."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()


def _container_limit() -> int:
    try:
        return int(CGROUP_LIMIT.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 62
