"""Whether a model fits into the memory that is free, and held in which other ways it would."""

from dataclasses import dataclass

from backend.errors import ResourceError, shown
from backend.models.memory import available_memory
from backend.models.resolve import GIGABYTE, Resolved, resolve
from backend.results.request import ModelSpec

# Python, torch and the activations of one forward pass.
WORKING_BYTES = 600_000_000
# Other ways to hold a model, the nearest to full precision first.
SMALLER = (("bfloat16", "none"), ("float32", "8bit"), ("bfloat16", "8bit"), ("bfloat16", "4bit"))


@dataclass(frozen=True)
class Room:
    """Bytes needed and free for it, and ways of holding the model that take less and would fit, in words.

    `needed` is 0 for a model whose size is not known before it is fetched.
    """

    needed: int
    free: int
    others: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it can be loaded now."""
        return self.needed <= self.free


def room_for(resolved: Resolved, returned: int = 0) -> Room:
    """What it would take to load the model now, where `returned` bytes come free before."""
    free = _free(resolved.device) + returned
    needed = resolved.weight_bytes + WORKING_BYTES if resolved.parameters else 0
    return Room(needed, free, () if needed <= free else _others(resolved, free))


def check_memory(resolved: Resolved, returned: int = 0) -> None:
    """Raise ResourceError, with what would fit, where there is no room for the model (see `room_for`)."""
    room = room_for(resolved, returned)
    if not room.fits:
        raise too_large(resolved, room)


def too_large(resolved: Resolved, room: Room) -> ResourceError:
    """The error for a model that did not fit, as loading found it."""
    advice = ", ".join([*room.others, "the small model (--small)"])
    return ResourceError(
        f"{shown(resolved.name)} as {resolved.dtype} needs {room.needed / GIGABYTE:.1f} GB of memory, and "
        f"{room.free / GIGABYTE:.1f} GB are free for it on {resolved.device}. Close other programs, or try {advice}."
    )


def _free(device: str) -> int:
    """Bytes that could be taken now; on several graphics cards all of them together, since layers are spread."""
    if device != "cuda":
        return available_memory(device)
    from backend.models.placement import free_on_cards  # seconds to import

    return sum(free_on_cards())


def _others(resolved: Resolved, free: int) -> tuple[str, ...]:
    found = []
    for dtype, quantization in SMALLER:
        other = resolve(ModelSpec(resolved.name, dtype, quantization, resolved.device))
        needed = other.weight_bytes + WORKING_BYTES
        if needed <= free and other.weight_bytes < resolved.weight_bytes:
            held = dtype if quantization == "none" else f"{dtype} with quantization {quantization}"
            found.append(f"{held} ({needed / GIGABYTE:.1f} GB)")
    return tuple(found)
