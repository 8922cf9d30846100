"""Which graphics cards this machine has. Only torch knows; a subprocess asks it, so that torch is not imported here."""

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0
# Device files of NVIDIA cards, of AMD cards, and of NVIDIA cards under the Windows Subsystem for Linux.
SIGNS = ("nvidia[0-9]*", "kfd", "dxg")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accelerators:
    """The memory of each graphics card in bytes, and whether there is an Apple graphics processor (mps)."""

    cards: tuple[int, ...] = ()
    mps: bool = False


@cache
def accelerators() -> Accelerators:
    """The cards that torch can use. If torch is not imported yet, a subprocess asks it: importing takes seconds."""
    if sys.platform != "darwin" and not any(found for sign in SIGNS for found in Path("/dev").glob(sign)):
        return Accelerators()
    if "torch" in sys.modules:
        return ask_torch()
    command = [sys.executable, "-m", "backend.models.accelerators"]
    try:
        output = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=TIMEOUT).stdout
        found = json.loads(output)
        return Accelerators(tuple(found["cards"]), found["mps"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        # If torch cannot start in the subprocess, it cannot run a model on a card either.
        log.warning("Graphics cards are not used: torch could not be asked for them (%s).", error)
        return Accelerators()


def ask_torch() -> Accelerators:
    """What torch reports, imported in this process."""
    import torch

    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return Accelerators(
        tuple(int(torch.cuda.get_device_properties(card).total_memory) for card in cards),
        torch.backends.mps.is_available(),
    )


if __name__ == "__main__":
    found = ask_torch()
    print(json.dumps({"cards": found.cards, "mps": found.mps}))
