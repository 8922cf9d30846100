"""Results on disk under their key. A write is atomic. Above a limit of bytes the least recently used are deleted."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backend.contract.errors import ResourceError, StoreError
from backend.contract.result import Result
from backend.results.checkpoint import Checkpoint
from backend.results.files import InaccessibleError, OlderFormatError, read, write

DEFAULT_LIMIT = 2 * 2**30
LEFTOVER_SECONDS = 3600
UNFINISHED = "unfinished"
UNFINISHED_SECONDS = 30 * 24 * 3600
DAMAGED = "damaged"
DAMAGED_KEPT = 20
DAMAGED_BYTES = 64 * 2**20
FULL = (errno.ENOSPC, errno.EDQUOT)
# Renames of `_swap` that another process may thwart, one after the other, before we give up.
SWAPS = 20


class Store:
    """A folder of results. Several processes may use one; a result appears by one rename.

    An entry that cannot be read is reported to `report`, moved to the folder `damaged`, and computed again. Everything
    but the results themselves (times of use, trimming, checkpoints, moving damaged entries) is best effort, so that a
    store on a disk that cannot be written can still be read.
    """

    def __init__(
        self, folder: Path, limit: int = DEFAULT_LIMIT, report: Callable[[str], None] = lambda message: None
    ) -> None:
        self._folder = folder
        self._limit = limit
        self._report = report
        self._reported: set[str] = set()

    def find(self, key: str) -> Result | None:
        """The result under `key` (a hex digest), or None."""
        entry = self._entry(key)
        while True:
            before = _identity(entry)
            try:
                result = read(entry, key)
                break
            except OlderFormatError:
                return None
            except InaccessibleError as error:
                self._report_once(entry, error)
                return None
            except StoreError as error:
                now = _identity(entry)
                if now is None:  # there is none, or another process has just trimmed it
                    return None
                if now == before:  # otherwise another process replaced the entry between our two reads
                    self._set_aside(entry, error)
                    return None
        with suppress(OSError):
            os.utime(entry)
        return result

    def verify(self) -> tuple[int, list[str]]:
        """How many entries can be read, and what is wrong with each of the others. Nothing is changed."""
        good, bad = 0, []
        for entry in sorted(self._folder.glob("??/*")):
            try:
                read(entry, entry.name)
                good += 1
            except StoreError as error:
                bad.append(str(error))
        return good, bad

    def put(self, key: str, result: Result) -> None:
        """Store a result, replacing one of the same key. Raises ResourceError for a full disk, else StoreError."""
        entry = self._entry(key)
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._folder))
            try:
                write(result, fresh, key)
                _flush(fresh)
                _swap(fresh, entry)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            if error.errno in FULL:
                raise ResourceError(
                    f"The disk is full: the result could not be saved in {self._folder}. Free some space there, "
                    "or set LETTERHEADS_HOME to another disk."
                ) from error
            raise StoreError(f"The result could not be saved in {self._folder}: {error.strerror}.") from error
        self._trim(keep=entry)

    def checkpoint(self, key: str) -> Checkpoint:
        """Where the computation of `key` keeps what it has finished; not counted in the limit."""
        self._entry(key)  # a key that is no key is refused
        return Checkpoint(self._folder / UNFINISHED / f"{key}.checkpoint", self._report)

    def _entry(self, key: str) -> Path:
        if not (key.isascii() and key.isalnum()):
            raise StoreError(f"{key!r} is not a result's key.")
        return self._folder / key[:2] / key

    def _set_aside(self, entry: Path, error: StoreError) -> None:
        """Report a damaged entry once, and move it to the folder of damaged entries, which holds the newest few."""
        self._report_once(entry, error)
        damaged = self._folder / DAMAGED
        with suppress(OSError):
            damaged.mkdir(exist_ok=True)
            shutil.rmtree(damaged / entry.name, ignore_errors=True)
            entry.rename(damaged / entry.name)
            os.utime(damaged / entry.name)
            size = 0
            for rank, each in enumerate(sorted(damaged.iterdir(), key=_used, reverse=True)):
                size += _size(each)
                if rank >= DAMAGED_KEPT or size > DAMAGED_BYTES:
                    shutil.rmtree(each, ignore_errors=True)

    def _report_once(self, entry: Path, error: StoreError) -> None:
        if entry.name not in self._reported:
            self._reported.add(entry.name)
            self._report(f"{error} It is computed again.")

    def _trim(self, keep: Path) -> None:
        """Delete leftovers, and entries, the one used longest ago first, until the rest fits the limit."""
        with suppress(OSError):  # another process trims too
            for leftover in (*self._folder.glob(".writing-*"), *self._folder.glob(".old-*")):
                if time.time() - _used(leftover) > LEFTOVER_SECONDS:  # of a process that was killed
                    shutil.rmtree(leftover, ignore_errors=True)
            for unfinished in (self._folder / UNFINISHED).glob("*"):
                if time.time() - _used(unfinished) > UNFINISHED_SECONDS:
                    unfinished.unlink(missing_ok=True)
            self._trim_entries(keep)

    def _trim_entries(self, keep: Path) -> None:
        sizes = {entry: _size(entry) for entry in self._folder.glob("??/*") if entry.is_dir()}
        excess = sum(sizes.values()) - self._limit
        for entry in sorted(sizes, key=_used):
            if excess <= 0:
                return
            if entry != keep:
                _remove(entry)
                excess -= sizes[entry]


def _swap(fresh: Path, entry: Path) -> None:
    """Rename `fresh` to `entry`; an older entry is moved out of the way first (a folder cannot be replaced).

    Another process may store the same key in between: then its entry is moved away too.
    """
    for last in [False] * (SWAPS - 1) + [True]:
        try:
            fresh.rename(entry)
            return
        except OSError as error:
            if last or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        _remove(entry)


def _remove(entry: Path) -> None:
    """Delete an entry, moved away first: who reads it meanwhile finds all of it or nothing."""
    old = Path(tempfile.mkdtemp(prefix=".old-", dir=entry.parents[1]))
    with suppress(FileNotFoundError):  # another process has just moved it
        entry.rename(old / entry.name)
    shutil.rmtree(old, ignore_errors=True)


def _identity(entry: Path) -> tuple[int, int] | None:
    """Which folder stands there now; None where there is none."""
    try:
        stat = entry.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_ctime_ns


def _flush(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _size(entry: Path) -> int:
    try:
        return sum(path.stat().st_size for path in entry.iterdir())
    except OSError:  # another process took it away
        return 0


def _used(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0
