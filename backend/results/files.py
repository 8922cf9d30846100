"""A result as two files: `arrays.npz`, and `result.json` that describes it and knows its checksum."""

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

JSON_NAME = "result.json"
ARRAYS_NAME = "arrays.npz"
FIELDS = ("request", "checks", "model", "versions", "seconds", "ticks", "arrays", "arrays_sha256")


def write(result: Result, folder: Path) -> None:
    """Write both files into an existing folder. Raises OSError, and ValueError for a scalar with a field's name."""
    packed = io.BytesIO()
    np.savez(packed, **{name: array.values for name, array in result.arrays.items()})  # type: ignore[arg-type]
    data = packed.getvalue()
    (folder / ARRAYS_NAME).write_bytes(data)
    description = json.dumps(
        _describe(result, hashlib.sha256(data).hexdigest()), ensure_ascii=False, indent=1
    )
    (folder / JSON_NAME).write_text(description, encoding="utf-8")


def read(folder: Path) -> Result:
    """Read what `write` wrote. Raises StoreError where a file is missing, damaged or does not fit the other."""
    try:
        description = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
        data = (folder / ARRAYS_NAME).read_bytes()
        if hashlib.sha256(data).hexdigest() != description["arrays_sha256"]:
            raise StoreError(
                f"The saved result {folder.name} is damaged: its arrays are not those it was saved with."
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as packed:
            arrays = {
                name: Array(packed[name], tuple(entry["axes"]), entry["unit"])
                for name, entry in description["arrays"].items()
            }
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise StoreError(f"The saved result {folder.name} is damaged: {error}.") from error
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


def _describe(result: Result, arrays_sha256: str) -> Mapping[str, Any]:
    """Scalars and check figures stand at the top, where somebody who reads the file looks for them."""
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
        "arrays_sha256": arrays_sha256,
    }
