"""Whether a model fits into the memory that is free, and held in which other ways it would."""

from dataclasses import dataclass

from backend.contract.errors import ResourceError, shown
from backend.contract.model import ModelSpec
from backend.models.memory import OFFLOAD, places_of
from backend.models.resolve import GIGABYTE, Resolved, resolve

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
    return Room(needed, free, () if needed <= free else _others(resolved, returned))


def check_memory(resolved: Resolved, returned: int = 0) -> None:
    """Raise ResourceError, with what would fit, where there is no room for the model (see `room_for`)."""
    room = room_for(resolved, returned)
    if not room.fits:
        raise too_large(resolved, room)


def too_large(resolved: Resolved, room: Room) -> ResourceError:
    """The error for a model that did not fit, as loading found it."""
    return ResourceError(
        f"{shown(resolved.name)} as {resolved.dtype} needs {room.needed / GIGABYTE:.1f} GB of memory, and "
        f"{room.free / GIGABYTE:.1f} GB are free for it on {resolved.device}. Close other programs, or try "
        f"{_advice(room.others)}."
    )


def unevenly_free(resolved: Resolved) -> ResourceError:
    """The error for a model that would fit if its layers could be cut in two."""
    places = (f"{free / GIGABYTE:.1f} GB on {place}" for place, free in places_of(resolved.device).items())
    return ResourceError(
        f"The layers of {shown(resolved.name)} as {resolved.dtype} do not fit into what is free: {', '.join(places)}. "
        f"Each is in one place, with room to work beside. Close other programs, or try {_advice(_others(resolved, 0))}."
    )


def _advice(others: tuple[str, ...]) -> str:
    return ", ".join([*others, "the small model (--small)"])


def _free(device: str) -> int:
    """Bytes that could be taken now by weights, and once by WORKING_BYTES, which each place but the first has kept."""
    first, *others = places_of(device).values()
    return first + sum(max(0, free - WORKING_BYTES) for free in others)


def _others(resolved: Resolved, returned: int) -> tuple[str, ...]:
    """Other ways of holding the model that would fit, in words."""
    whole = "cuda" if resolved.device == OFFLOAD else resolved.device  # quantized weights are not offloaded
    ways = [(dtype, how, resolved.device if how == "none" else whole) for dtype, how in SMALLER]
    if resolved.device == "cuda":
        ways.insert(0, (resolved.dtype, "none", OFFLOAD))
    found = []
    for dtype, quantization, device in ways:
        other = resolve(ModelSpec(resolved.name, dtype, quantization, device), None)
        needed, elsewhere = other.weight_bytes + WORKING_BYTES, device != resolved.device
        if needed <= _free(device) + returned and (elsewhere or other.weight_bytes < resolved.weight_bytes):
            held = dtype if quantization == "none" else f"{dtype} with quantization {quantization}"
            found.append(f"{held}{f' on device {device}' * elsewhere} ({needed / GIGABYTE:.1f} GB)")
    return tuple(found)
