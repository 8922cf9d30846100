"""A result as two files: `arrays.npz`, and `result.json` that describes it. One checksum covers both, and the key."""

import errno
import hashlib
import io
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from backend.contract.errors import StoreError
from backend.contract.result import Array, Result
from backend.whole_file import write_together

JSON_NAME = "result.json"
ARRAYS_NAME = "arrays.npz"
FIELDS = (
    "request",
    "checks",
    "model",
    "versions",
    "seconds",
    "ticks",
    "arrays",
    "key",
    "arrays_sha256",
    "sha256",
)

# What json, zipfile and numpy raise for bytes that are not what they expect.
UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    *(RecursionError, NotImplementedError, BadZipFile, zlib.error, TokenError, SyntaxError),
)

# Where a file should be there is none.
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


class OlderFormatError(StoreError):
    """A result without the checksum of everything: an older version wrote it."""


class InaccessibleError(StoreError):
    """The system does not let us read a file now (permission, too many open files): it need not be damaged."""


def write(result: Result, folder: Path, key: str = "") -> None:
    """Write both files into a folder, `result.json` last. Where the disk is full, the files already there stay.

    `key` is what the result is stored under; a result that belongs to no store has none. Raises OSError, and ValueError
    for a scalar that has a field's name.
    """
    packed = io.BytesIO()
    np.savez(packed, **{name: array.values for name, array in result.arrays.items()})  # type: ignore[arg-type]
    data = packed.getvalue()
    description = dict(_describe(result, key, hashlib.sha256(data).hexdigest()))
    description["sha256"] = _checksum(json.loads(json.dumps(description)))
    text = json.dumps(description, ensure_ascii=False, indent=1)
    write_together({folder / ARRAYS_NAME: data, folder / JSON_NAME: text.encode("utf-8")})


def read(folder: Path, key: str | None = None) -> Result:
    """Read what `write` wrote; with `key`, refuse a result that was stored under another.

    Raises StoreError where a file is missing, damaged, or does not fit the other; OlderFormatError where an older
    version wrote it; InaccessibleError where the system refuses to read it.
    """
    try:
        description = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
        if not isinstance(description, dict):
            raise ValueError(f"{JSON_NAME} holds no object")
        if "sha256" not in description:
            raise OlderFormatError(f"The saved result {folder.name} was written by an older version.")
        if description.pop("sha256") != _checksum(description):
            raise ValueError("its description is not the one it was saved with")
        if key is not None and description["key"] != key:
            raise ValueError("it was saved as another result")
        return _parsed(description, (folder / ARRAYS_NAME).read_bytes())
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno not in ABSENT:
            raise InaccessibleError(f"The saved result {folder.name} cannot be read: {error}.") from error
        raise StoreError(f"The saved result {folder.name} is damaged: {error}.") from error


def _parsed(description: Mapping[str, Any], data: bytes) -> Result:
    if hashlib.sha256(data).hexdigest() != description["arrays_sha256"]:
        raise ValueError("its arrays are not those it was saved with")
    with np.load(io.BytesIO(data), allow_pickle=False) as packed:
        arrays = {
            name: Array(packed[name], tuple(entry["axes"]), entry["unit"])
            for name, entry in description["arrays"].items()
        }
    _check(description, arrays)
    return Result(
        request=description["request"],
        arrays=arrays,
        ticks={axis: tuple(ticks) for axis, ticks in description["ticks"].items()},
        scalars={
            name: value
            for name, value in description.items()
            if name not in (*FIELDS, *description["checks"])
        },
        checks={name: (value, limit) for name, (value, limit) in description["checks"].items()},
        model=description["model"],
        versions=description["versions"],
        seconds=description["seconds"],
    )


def _check(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Raise ValueError where a field has another type, or an array another shape, than the description says."""
    for name in ("request", "model", "versions", "ticks", "checks"):
        if not isinstance(description[name], dict):
            raise ValueError(f"{name} is no object")
    if not (_is_number(description["seconds"]) and math.isfinite(description["seconds"])):
        raise ValueError("seconds is no finite number")
    for axis, texts in description["ticks"].items():
        if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
            raise ValueError(f"the ticks of {axis} are no texts")
    for name, figures in description["checks"].items():
        if not (isinstance(figures, list) and len(figures) == 2 and all(map(_is_number, figures))):
            raise ValueError(f"the check {name} is not a value and its limit")
    for name, array in arrays.items():
        if list(array.values.shape) != description["arrays"][name]["shape"]:
            raise ValueError(f"the array {name} has another shape")
        if not all(isinstance(text, str) for text in (*array.axes, array.unit)):
            raise ValueError(f"the axes or the unit of the array {name} are no text")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _describe(result: Result, key: str, arrays_sha256: str) -> Mapping[str, Any]:
    """Scalars and check figures come first, where somebody who reads the file looks for them."""
    if taken := {*FIELDS, *result.checks} & result.scalars.keys():
        raise ValueError(
            f"A scalar cannot be called {', '.join(sorted(taken))}: that stands for something else."
        )
    return {
        **result.scalars,
        **{name: value for name, (value, _) in result.checks.items()},
        "seconds": result.seconds,
        "checks": result.checks,
        "model": result.model,
        "versions": result.versions,
        "request": result.request,
        "arrays": {
            name: {"axes": array.axes, "unit": array.unit, "shape": array.values.shape}
            for name, array in result.arrays.items()
        },
        "ticks": result.ticks,
        "key": key,
        "arrays_sha256": arrays_sha256,
    }


def _checksum(description: Mapping[str, Any]) -> str:
    """SHA-256 of every field. The arrays are covered by their own checksum, which is one of the fields."""
    return hashlib.sha256(json.dumps(description, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
