"""Free disk space, SHA-256 of files, and reading files ahead."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backend.contract.errors import ResourceError
from backend.contract.progress import Progress, silent

CHUNK = 1 << 22
READ_AHEAD = 1 << 20  # the kernel reads at most about this much for each posix_fadvise call
GIGABYTE = 1e9


def need_disk_space(folder: Path, needed: int, what: str) -> None:
    """Raise ResourceError unless the disk of `folder` has `needed` bytes free, plus 5 %."""
    free = shutil.disk_usage(_existing(folder)).free
    if needed * 1.05 > free:
        raise ResourceError(
            f"{what} needs {needed / GIGABYTE:.1f} GB on the disk of {folder}, and {free / GIGABYTE:.1f} GB "
            "are free. Free some space, or set LETTERHEADS_HOME to a folder on a larger disk."
        )


@contextmanager
def full_disk_reported(folder: Path) -> Iterator[None]:
    """Turn "no space left" while writing into `folder` into a ResourceError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResourceError(
            f"The disk of {folder} is full. Free some space, or set LETTERHEADS_HOME to a folder on a larger "
            "disk; what was downloaded so far is used again."
        ) from error


def sync(path: Path) -> None:
    """Write a file or folder from the system's cache to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path, progress: Progress = silent, message: str = "Checking") -> str:
    """The SHA-256 of a file's content, in hex."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress(message, done, total)
    return digest.hexdigest()


def read_ahead(files: Sequence[Path], progress: Progress, message: str) -> None:
    """Ask the system to read the files into its cache. It takes 0.1 s if they are cached already.

    Weights are memory-mapped. Read by page faults alone, 7 GB took 25 s from a cold start; the disk needs 6 s.
    """
    done, total = 0, sum(file.stat().st_size for file in files)
    progress(message, done, total)
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        with file.open("rb") as content:
            for start in range(0, file.stat().st_size, READ_AHEAD):
                if start % CHUNK == 0:
                    progress(message, done + start, total)
                os.posix_fadvise(content.fileno(), start, READ_AHEAD, os.POSIX_FADV_WILLNEED)
        done += file.stat().st_size


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
