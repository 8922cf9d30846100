"""Download a model: `python -m backend.models [NAME | --small]`. Without a name: the default model."""

import sys
import time

from backend.contract.errors import LetterheadsError
from backend.contract.model import DEFAULT_MODEL, ModelSpec
from backend.models.catalogue import SMALL_MODEL, catalogue
from backend.models.fetch import fetch

SECONDS_BETWEEN_LINES = 5


class _Lines:
    """Print progress as lines: a new message at once, then its percentage every five seconds."""

    def __init__(self) -> None:
        self.message, self.printed = "", 0.0

    def __call__(self, message: str, done: int = 0, total: int = 0) -> None:
        now = time.monotonic()
        if message != self.message or now - self.printed > SECONDS_BETWEEN_LINES:
            share = f" {100 * done // total} %" if total and message == self.message else ""
            print(f"{message}{share}", flush=True)
            self.message, self.printed = message, now


def main(arguments: list[str]) -> int:
    """Download the default model, the small one, or any by name. Returns 0, or 2 after a one-line error."""
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-") and arguments[0] != "--small"):
        print(
            "usage: fetch-model [--small | NAME]\n"
            f"NAME: {', '.join(catalogue())}, org/name, a folder, a .gguf file"
        )
        return 2
    name = arguments[0] if arguments else DEFAULT_MODEL
    try:
        resolved = fetch(ModelSpec(SMALL_MODEL if name == "--small" else name, device="cpu"), _Lines())
    except LetterheadsError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{resolved.name} is ready: {resolved.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
