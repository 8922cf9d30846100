"""What a long computation has finished so far, kept on disk, so that a cancel or a kill loses only seconds."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from backend.whole_file import write_whole

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class Checkpoint:
    """One file of named arrays; written whole or not at all. A damaged or missing one is simply nothing yet."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> Arrays:
        """What was saved last; empty where there is nothing."""
        try:
            with np.load(io.BytesIO(self._file.read_bytes()), allow_pickle=False) as packed:
                return {name: packed[name] for name in packed.files}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return {}

    def save(self, arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> None:
        """Replace what was saved. Raises OSError."""
        packed = io.BytesIO()
        np.savez(packed, **arrays)  # type: ignore[arg-type]
        write_whole(self._file, packed.getvalue())

    def drop(self) -> None:
        """Forget it: the result is complete."""
        self._file.unlink(missing_ok=True)
