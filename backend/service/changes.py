"""Partial results as the difference from the one sent before, and the results rebuilt from these differences.

A sweep shows its results several times a second. Of its arrays only the cells that changed are sent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backend.contract.result import Array, Result
from backend.service.messages import Arrays, Partial


def description(result: Result) -> dict[str, Any]:
    """All fields of a result except its arrays' values and its seconds, as JSON can carry them."""
    return {
        "request": result.request,
        "arrays": {name: {"axes": array.axes, "unit": array.unit} for name, array in result.arrays.items()},
        "ticks": result.ticks,
        "scalars": result.scalars,
        "checks": result.checks,
        "model": result.model,
        "versions": result.versions,
    }


def rebuilt(described: Mapping[str, Any], values: Arrays, seconds: float) -> Result:
    """The result with this `description` and these values."""
    return Result(
        request=described["request"],
        arrays={
            name: Array(values[name], tuple(entry["axes"]), entry["unit"])
            for name, entry in described["arrays"].items()
        },
        ticks={axis: tuple(ticks) for axis, ticks in described["ticks"].items()},
        scalars=described["scalars"],
        checks={name: (value, limit) for name, (value, limit) in described["checks"].items()},
        model=described["model"],
        versions=described["versions"],
        seconds=seconds,
    )


def changed(job: str, before: Result | None, after: Result) -> Partial:
    """The difference between two results of a run. `before` is None for the first."""
    full, indices, cells = {}, {}, {}
    for name, array in after.arrays.items():
        values = array.values
        old = None if before is None or name not in before.arrays else before.arrays[name].values
        if old is None or old.shape != values.shape:
            full[name] = values
            continue
        # Compared by their bits: NaN marks cells that are not known yet, and is not equal to itself.
        different = np.flatnonzero(_bits(old) != _bits(values))
        if 3 * len(different) > values.size:
            full[name] = values
        elif len(different):
            indices[name], cells[name] = different.astype(np.int64), values.ravel()[different]
    described = description(after)
    same = before is not None and description(before) == described
    return Partial(job, after.seconds, None if same else described, full, indices, cells)


def applied(before: Result | None, difference: Partial) -> Result:
    """The result `after` from which `changed` made this difference. `before` is not modified."""
    values = {} if before is None else {name: array.values for name, array in before.arrays.items()}
    values |= difference.full
    for name, indices in difference.indices.items():
        fresh = values[name].copy()
        fresh.reshape(-1)[indices] = difference.cells[name]
        values[name] = fresh
    described = difference.description
    if described is None:
        assert before is not None  # the first difference of a run has a description
        described = description(before)
    return rebuilt(described, values, difference.seconds)


def _bits(values: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return np.ascontiguousarray(values).ravel().view(np.uint32)
