"""What a long computation has finished so far, saved on disk, so that a cancel or a kill loses only seconds."""

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from backend.whole_file import write_whole

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]
DIGEST_BYTES = 32


class Checkpoint:
    """One file of named arrays after their SHA-256; written atomically.

    A missing or damaged file counts as nothing saved. Saving is best effort: a computation goes on where the disk is
    full or cannot be written, and `report` is told once.
    """

    def __init__(self, file: Path, report: Callable[[str], None] = lambda message: None) -> None:
        self._file = file
        self._report = report
        self._reported = False

    def load(self) -> Arrays:
        """What was saved last; empty where there is nothing, or where the file is damaged."""
        try:
            content = self._file.read_bytes()
        except OSError:
            return {}
        digest, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            self._report(f"The checkpoint {self._file.name} is damaged. The computation starts again.")
            self.drop()
            return {}
        with np.load(io.BytesIO(data), allow_pickle=False) as packed:
            return {name: packed[name] for name in packed.files}

    def save(self, arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> None:
        """Replace what was saved, as far as the disk can be written."""
        packed = io.BytesIO()
        np.savez(packed, **arrays)  # type: ignore[arg-type]
        data = packed.getvalue()
        try:
            write_whole(self._file, hashlib.sha256(data).digest() + data)
        except OSError as error:
            if not self._reported:
                self._reported = True
                self._report(
                    f"The checkpoint cannot be saved in {self._file.parent} ({error.strerror}). "
                    "The computation goes on; if it is stopped, it starts again."
                )

    def drop(self) -> None:
        """Delete it, as far as that is possible: the result is complete."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
