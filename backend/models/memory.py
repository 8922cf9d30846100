"""How much memory there is, for weights on the processor or on a graphics card."""

import ctypes
import gc
from functools import cache
from pathlib import Path

import psutil

# Options of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 512 * 2**20
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
    trim_heap()
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()


def trim_heap() -> None:
    """Give back what glibc keeps of freed blocks; milliseconds."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed. On the processor torch raises a plain RuntimeError."""
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


@cache
def keep_freed() -> None:
    """Let glibc keep freed blocks for the next of their size, up to half a gigabyte, until `return_freed`.

    A fresh block costs a page fault for every 4 KB: a twentieth of the time of a sweep.
    """
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(M_MMAP_THRESHOLD, KEPT_BYTES // 2)
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)


def _container_limit() -> int:
    try:
        return int(CGROUP_LIMIT.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 62
