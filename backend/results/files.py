"""A result as two files: `arrays.npz`, and `result.json` that describes it. One checksum covers both, and the key."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from backend.contract.errors import StoreError
from backend.contract.result import Array, Result
from backend.whole_file import write_whole

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


class OlderFormatError(StoreError):
    """A result without the checksum of everything: an older version wrote it."""


def write(result: Result, folder: Path, key: str = "") -> None:
    """Write both files into an existing folder, each whole or not at all, `result.json` last.

    `key` is what the result is stored under; a result that belongs to no store has none. Raises OSError, and ValueError
    for a scalar that has a field's name.
    """
    packed = io.BytesIO()
    np.savez(packed, **{name: array.values for name, array in result.arrays.items()})  # type: ignore[arg-type]
    data = packed.getvalue()
    description = dict(_describe(result, key, hashlib.sha256(data).hexdigest()))
    description["sha256"] = _checksum(json.loads(json.dumps(description)))
    text = json.dumps(description, ensure_ascii=False, indent=1)
    write_whole(folder / ARRAYS_NAME, data)
    write_whole(folder / JSON_NAME, text.encode("utf-8"))


def read(folder: Path, key: str | None = None) -> Result:
    """Read what `write` wrote; with `key`, refuse a result that was stored under another.

    Raises StoreError where a file is missing, damaged, or does not fit the other; OlderFormatError where an older
    version wrote it.
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BadZipFile) as error:
        raise StoreError(f"The saved result {folder.name} is damaged: {error}.") from error


def _parsed(description: Mapping[str, Any], data: bytes) -> Result:
    if hashlib.sha256(data).hexdigest() != description["arrays_sha256"]:
        raise ValueError("its arrays are not those it was saved with")
    with np.load(io.BytesIO(data), allow_pickle=False) as packed:
        arrays = {
            name: Array(packed[name], tuple(entry["axes"]), entry["unit"])
            for name, entry in description["arrays"].items()
        }
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
