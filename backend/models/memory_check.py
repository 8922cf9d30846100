"""Whether a model fits into free memory; if not, which dtypes, quantizations and devices would fit."""

from dataclasses import dataclass

from backend.contract.errors import ResourceError, shown
from backend.contract.model import ModelSpec
from backend.models.memory import OFFLOAD, memory_by_device
from backend.models.resolve import GIGABYTE, Resolved, resolve

# Python, torch and the activations of one forward pass.
WORKING_BYTES = 600_000_000
# (dtype, quantization) to suggest when a model does not fit, the nearest to full precision first.
SMALLER = (("bfloat16", "none"), ("float32", "8bit"), ("bfloat16", "8bit"), ("bfloat16", "4bit"))


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a model needs and bytes that are free.

    Attributes:
        needed: bytes of weights and working memory; 0 for a model that is not downloaded yet, whose size is unknown.
        free: bytes of free memory on its device.
        others: if it does not fit, the smaller settings that would, in words: "bfloat16 (3.7 GB)".
    """

    needed: int
    free: int
    others: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the model can be loaded now."""
        return self.needed <= self.free


def memory_need(resolved: Resolved, returned: int = 0) -> MemoryNeed:
    """The memory that loading the model needs now. `returned` are bytes that are freed before it is loaded."""
    free = _free(resolved.device) + returned
    needed = resolved.weight_bytes + WORKING_BYTES if resolved.parameters else 0
    return MemoryNeed(needed, free, () if needed <= free else _others(resolved, returned))


def check_memory(resolved: Resolved, returned: int = 0) -> None:
    """Raise ResourceError if the model does not fit (see `memory_need`). The message names what would fit."""
    need = memory_need(resolved, returned)
    if not need.fits:
        raise too_large(resolved, need)


def too_large(resolved: Resolved, need: MemoryNeed) -> ResourceError:
    """The error for a model that does not fit into memory."""
    return ResourceError(
        f"{shown(resolved.name)} as {resolved.dtype} needs {need.needed / GIGABYTE:.1f} GB of memory, and "
        f"{need.free / GIGABYTE:.1f} GB are free for it on {resolved.device}. Close other programs, or try "
        f"{_advice(need.others)}."
    )


def unevenly_free(resolved: Resolved) -> ResourceError:
    """The error for a model that fits into all devices together, but not layer by layer."""
    free = (
        f"{size / GIGABYTE:.1f} GB on {device}" for device, size in memory_by_device(resolved.device).items()
    )
    return ResourceError(
        f"The layers of {shown(resolved.name)} as {resolved.dtype} do not fit into the free memory: {', '.join(free)}. "
        "A layer is never split between devices, and each device keeps some memory free for activations. "
        f"Close other programs, or try {_advice(_others(resolved, 0))}."
    )


def _advice(others: tuple[str, ...]) -> str:
    return ", ".join([*others, "the small model (--small)"])


def _free(device: str) -> int:
    """Free bytes for weights plus WORKING_BYTES once: on each further device WORKING_BYTES are already subtracted."""
    first, *others = memory_by_device(device).values()
    return first + sum(max(0, free - WORKING_BYTES) for free in others)


def _others(resolved: Resolved, returned: int) -> tuple[str, ...]:
    """Smaller settings of the same model that would fit, in words."""
    # Quantized weights cannot be offloaded.
    quantized_device = "cuda" if resolved.device == OFFLOAD else resolved.device
    settings = [
        (dtype, quantization, resolved.device if quantization == "none" else quantized_device)
        for dtype, quantization in SMALLER
    ]
    if resolved.device == "cuda":
        settings.insert(0, (resolved.dtype, "none", OFFLOAD))
    found = []
    for dtype, quantization, device in settings:
        other = resolve(ModelSpec(resolved.name, dtype, quantization, device), None)
        needed, elsewhere = other.weight_bytes + WORKING_BYTES, device != resolved.device
        if needed <= _free(device) + returned and (elsewhere or other.weight_bytes < resolved.weight_bytes):
            words = dtype if quantization == "none" else f"{dtype} with quantization {quantization}"
            found.append(f"{words}{f' on device {device}' * elsewhere} ({needed / GIGABYTE:.1f} GB)")
    return tuple(found)
