"""How much memory the processor and the graphics cards have, in total and free; and how to free more."""

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
"""On graphics cards; layers that do not fit there stay in the processor's memory and are copied to run."""
ON_CARDS = ("cuda", OFFLOAD)
CGROUP = Path("/sys/fs/cgroup")


def total_memory(device: str) -> int:
    """Total memory for a model on `device`, in bytes.

    cuda: of all graphics cards together; cpu and mps: of the machine or its container; OFFLOAD: the sum of both.
    """
    total = 0
    if device in ON_CARDS:
        total += sum(accelerators().cards)
    if device != "cuda":
        total += min(int(psutil.virtual_memory().total), _container_limit())
    return total


def available_memory(device: str) -> int:
    """Free bytes on one device (cpu, mps, cuda:1). File cache counts as free."""
    if device.startswith("cuda"):
        import torch

        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return max(0, min(int(psutil.virtual_memory().available), _container_limit() - _container_use()))


def memory_by_device(device: str) -> dict[str, int]:
    """Free bytes on each device that a model on `device` may use, in the order in which they are filled."""
    devices = [] if device in ON_CARDS else [device]
    if device in ON_CARDS:
        import torch

        devices += [f"cuda:{card}" for card in range(torch.cuda.device_count())]
    if device == OFFLOAD:
        devices.append("cpu")
    return {each: available_memory(each) for each in devices}


def megabytes(count: int) -> str:
    """Bytes as text in megabytes, rounded up.

    >>> megabytes(24_010_000)
    '24.1 MB'
    """
    return f"{math.ceil(count / 1e5) / 10:,} MB"


def held_bytes(tensors: Iterable["torch.Tensor"]) -> Counter[str]:
    """Bytes that are freed on each kind of device (cpu, cuda, mps) once the tensors are freed.

    Memory-mapped files are not counted, since the system counts them as free. The weights of an offloaded module (a
    placeholder on the meta device) are counted as cpu.
    """
    files = _mapped_files()
    held: Counter[str] = Counter()
    for tensor in tensors:
        if not any(start <= tensor.data_ptr() < end for start, end in files):
            held["cpu" if tensor.is_meta else tensor.device.type] += tensor.nbytes
    return held


def return_freed(device: str) -> None:
    """Return freed memory to the system. glibc keeps freed blocks under 32 MB: 0.5 to 2 GB after loading a model."""
    gc.collect()
    trim_heap()
    if device in ON_CARDS:
        import torch

        torch.cuda.empty_cache()


def trim_heap() -> None:
    """Return the freed blocks that glibc keeps to the system; takes milliseconds."""
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
    """Let glibc keep up to half a gigabyte of freed blocks for reuse, until `return_freed`.

    A new block costs a page fault for every 4 KB. In a sweep that took 5 % of the time.
    """
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        set_option(M_MMAP_THRESHOLD, KEPT_BYTES // 2)
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)


def _mapped_files() -> list[tuple[int, int]]:
    """Address ranges of this process at which files are mapped. Empty if the system has no /proc/self/maps."""
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
    """The memory limit of this container in bytes; without a limit, more than any machine has."""
    try:
        return int((CGROUP / "memory.max").read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 62


def _container_use() -> int:
    """Bytes that this container uses, without file cache, which counts as free."""
    try:
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        used = int((CGROUP / "memory.current").read_text())
    except OSError:
        return 0
    parts = dict(line.split() for line in lines)
    return used - sum(int(parts.get(name, 0)) for name in ("active_file", "inactive_file"))
