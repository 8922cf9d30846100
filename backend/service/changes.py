"""A partial result sent by what changed since the last one, and put together again on the other side."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backend.contract.result import Array, Result
from backend.service.messages import Arrays, Partial


def about(result: Result) -> dict[str, Any]:
    """All of a result but its arrays' values and its seconds, as JSON can carry it."""
    return {
        "request": result.request,
        "arrays": {name: {"axes": array.axes, "unit": array.unit} for name, array in result.arrays.items()},
        "ticks": result.ticks,
        "scalars": result.scalars,
        "checks": result.checks,
        "model": result.model,
        "versions": result.versions,
    }


def rebuilt(told: Mapping[str, Any], values: Arrays, seconds: float) -> Result:
    """The result that `about` told of, with these values."""
    return Result(
        request=told["request"],
        arrays={
            name: Array(values[name], tuple(entry["axes"]), entry["unit"])
            for name, entry in told["arrays"].items()
        },
        ticks={axis: tuple(ticks) for axis, ticks in told["ticks"].items()},
        scalars=told["scalars"],
        checks={name: (value, limit) for name, (value, limit) in told["checks"].items()},
        model=told["model"],
        versions=told["versions"],
        seconds=seconds,
    )


def changed(job: str, before: Result | None, after: Result) -> Partial:
    """What `after` has and `before` had not."""
    whole, at, to = {}, {}, {}
    for name, array in after.arrays.items():
        values = array.values
        old = None if before is None or name not in before.arrays else before.arrays[name].values
        if old is None or old.shape != values.shape:
            whole[name] = values
            continue
        # By their bits: NaN, which stands for what is not known yet, is equal to itself.
        places = np.flatnonzero(_bits(old) != _bits(values))
        if 3 * len(places) > values.size:
            whole[name] = values
        elif len(places):
            at[name], to[name] = places.astype(np.int64), values.ravel()[places]
    told = about(after)
    same = before is not None and about(before) == told
    return Partial(job, after.seconds, None if same else told, whole, at, to)


def applied(before: Result | None, news: Partial) -> Result:
    """The result that `changed` was made of. `before` stays as it is."""
    values = {} if before is None else {name: array.values for name, array in before.arrays.items()}
    values |= news.whole
    for name, places in news.at.items():
        fresh = values[name].copy()
        fresh.reshape(-1)[places] = news.to[name]
        values[name] = fresh
    told = news.about
    if told is None:
        assert before is not None  # the first of a run is told whole
        told = about(before)
    return rebuilt(told, values, news.seconds)


def _bits(values: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return np.ascontiguousarray(values).ravel().view(np.uint32)
