"""Results that hold for this machine and this hour only: not stored, but remembered for some minutes."""

import time

from backend.contract.result import Result

KEPT_SECONDS = 300.0


class Estimates:
    """By key. Its owner calls it under a lock."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Result]] = {}

    def find(self, key: str) -> Result | None:
        """One of the last minutes."""
        found = self._known.get(key)
        return None if found is None or time.monotonic() - found[0] > KEPT_SECONDS else found[1]

    def keep(self, key: str, result: Result) -> None:
        """Remember it; older ones are forgotten."""
        now = time.monotonic()
        self._known = {
            known: (when, old) for known, (when, old) in self._known.items() if now - when < KEPT_SECONDS
        }
        self._known[key] = (now, result)
