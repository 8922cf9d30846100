"""Files that are there whole or not at all, also where the machine stops half-way."""

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, replacing one that is there; its folder is made if need be. Raises OSError."""
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files, replacing those that are there, in the order given; folders are made if need be.

    All are on the disk under other names before the first is replaced, so that a full disk changes none of them.
    Raises OSError.
    """
    fresh: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh[path] = path.with_name(f".writing-{uuid.uuid4().hex}")
            with open(fresh[path], "xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        for path in contents:
            os.replace(fresh[path], path)
    except BaseException:
        for leftover in fresh.values():
            with suppress(OSError):
                leftover.unlink(missing_ok=True)
        raise
