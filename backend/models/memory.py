"""How much memory there is, for weights on the processor or on a graphics card."""

import ctypes
import gc
import math
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from backend.models.accelerators import accelerators

if TYPE_CHECKING:
    import torch

# Options of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 512 * 2**20
OFFLOAD = "offload"
"""On graphics cards; layers that do not fit there are in the processor's memory and fetched when they run."""
ON_CARDS = ("cuda", OFFLOAD)
CGROUP = Path("/sys/fs/cgroup")


def total_memory(device: str) -> int:
    """Bytes of memory that a model held on a device may be in: of all graphics cards together, of the processor's
    machine or container; for OFFLOAD of both."""
    total = 0
    if device in ON_CARDS:
        total += sum(accelerators().cards)
    if device != "cuda":
        total += min(int(psutil.virtual_memory().total), _container_limit())
    return total


def available_memory(device: str) -> int:
    """Bytes that could be taken now on one device (cpu, mps, cuda:1); file cache counts as free."""
    if device.startswith("cuda"):
        import torch

        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return max(0, min(int(psutil.virtual_memory().available), _container_limit() - _container_use()))


def memory_by_device(device: str) -> dict[str, int]:
    """Bytes that could be taken now in each place for a model held on a device, in the order of their use."""
    places = [] if device in ON_CARDS else [device]
    if device in ON_CARDS:
        import torch

        places += [f"cuda:{card}" for card in range(torch.cuda.device_count())]
    if device == OFFLOAD:
        places.append("cpu")
    return {place: available_memory(place) for place in places}


def megabytes(count: int) -> str:
    """Bytes in words, rounded up.

    >>> megabytes(24_010_000)
    '24.1 MB'
    """
    return f"{math.ceil(count / 1e5) / 10:,} MB"


def held_bytes(tensors: Iterable["torch.Tensor"]) -> Counter[str]:
    """Bytes that each kind of device gets back once tensors are freed: the system counts none that are mapped.

    What a placeholder stands for is in the processor's memory.
    """
    files = _mapped_files()
    held: Counter[str] = Counter()
    for tensor in tensors:
        if not any(start <= tensor.data_ptr() < end for start, end in files):
            held["cpu" if tensor.is_meta else tensor.device.type] += tensor.nbytes
    return held


def return_freed(device: str) -> None:
    """Give freed memory back to the system: glibc keeps blocks under 32 MB, 0.5 to 2 GB after loading."""
    gc.collect()
    trim_heap()
    if device in ON_CARDS:
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


def _mapped_files() -> list[tuple[int, int]]:
    """Where in this process' memory files are, from its table of mappings; nothing where the system has none."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    found = []
    for addresses, _, _, _, inode, *_ in map(str.split, lines):
        if inode != "0":
            start, _, end = addresses.partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found


def _container_limit() -> int:
    """Bytes that this container may hold, and without one more than any machine has."""
    try:
        return int((CGROUP / "memory.max").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 62


def _container_use() -> int:
    """Bytes that this container holds and cannot drop: file cache counts as free."""
    try:
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        held = int((CGROUP / "memory.current").read_text())
    except OSError:
        return 0
    parts = dict(line.split() for line in lines)
    return held - sum(int(parts.get(name, 0)) for name in ("active_file", "inactive_file"))
