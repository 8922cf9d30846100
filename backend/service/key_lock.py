"""One process at a time computes a result, though several share one home."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from backend.contract.progress import Progress
from backend.home import home

WAIT_SECONDS = 0.3
LEFTOVER_SECONDS = 24 * 3600


@contextmanager
def key_lock(key: str, progress: Progress) -> Iterator[bool]:
    """Inside, no other process holds the lock of this key. Yields whether another held it before.

    Where the home cannot be written there is no lock: the result is then computed by each.
    """
    lock, waited = FileLock(_folder() / f"{key}.lock"), False
    while True:
        try:
            _folder().mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=WAIT_SECONDS)
            break
        except Timeout:
            waited = True
            progress("Waiting for another process that computes the same")
        except OSError:
            break
    try:
        yield waited
    finally:
        lock.release()


def drop_leftovers() -> None:
    """Delete lock files older than a day that nobody holds."""
    for path in _folder().glob("*.lock"):
        try:
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                with FileLock(path).acquire(timeout=0):
                    path.unlink(missing_ok=True)
        except (OSError, Timeout):
            continue


def _folder() -> Path:
    return home() / "locks"
