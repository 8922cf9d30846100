"""Which graphics processors this machine has. Asked of torch, but not by importing it where that is not needed."""

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0
# NVIDIA's cards, AMD's, and NVIDIA's as Windows' subsystem for Linux shows them.
SIGNS = ("nvidia[0-9]*", "kfd", "dxg")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accelerators:
    """The bytes of memory of each card, and whether there is Apple's processor (mps)."""

    cards: tuple[int, ...] = ()
    mps: bool = False


@cache
def accelerators() -> Accelerators:
    """Those that torch can use. Where torch is not imported, and there may be some, a process of its own asks it."""
    if sys.platform != "darwin" and not any(found for sign in SIGNS for found in Path("/dev").glob(sign)):
        return Accelerators()
    if "torch" in sys.modules:
        return ask_torch()
    command = [sys.executable, "-m", "backend.models.accelerators"]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=TIMEOUT).stdout
        found = json.loads(told)
        return Accelerators(tuple(found["cards"]), found["mps"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        # A torch that cannot start there would not run a model there either.
        log.warning("Graphics cards are not used: torch could not be asked for them (%s).", error)
        return Accelerators()


def ask_torch() -> Accelerators:
    """What torch says, in this process."""
    import torch

    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return Accelerators(
        tuple(int(torch.cuda.get_device_properties(card).total_memory) for card in cards),
        torch.backends.mps.is_available(),
    )


if __name__ == "__main__":
    found = ask_torch()
    print(json.dumps({"cards": found.cards, "mps": found.mps}))
