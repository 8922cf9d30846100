"""A result held against what its analysis declares: names, axes and units of arrays, names of scalars, both ways."""

from collections.abc import Iterable, Mapping
from typing import Any

from backend.analyses import ANALYSES
from backend.contract.asked import Asked
from backend.contract.check_spec import CheckSpec
from backend.contract.request import Request
from backend.contract.result import Array
from backend.contract.spec import ArraySpec, ScalarSpec


def declared(request: Request) -> dict[str, tuple[tuple[str, ...], str]]:
    """Axes and unit of every array that the result of a request has, by name; those that the model decides too."""
    values = _values(request)
    return {
        name: spec.shape(values)
        for spec in ANALYSES[request.analysis].arrays
        for name in _names([spec], values, (True, None))
    }


def needed(request: Request) -> set[str]:
    """The names of the arrays that its result has whatever the model is."""
    return _names(ANALYSES[request.analysis].arrays, _values(request), (True,))


def differences(
    request: Request,
    arrays: Mapping[str, Array],
    scalars: Mapping[str, Any],
    checks: Mapping[str, tuple[float, float]] | None = None,
) -> list[str]:
    """What a result has that is not declared, lacks that is, or has with other axes, another unit or limit.

    Check figures are compared where they are given, with the limits of float32.
    """
    analysis, values, shapes = ANALYSES[request.analysis], _values(request), declared(request)
    found = []
    for what, specs, given in (("array", analysis.arrays, arrays), ("scalar", analysis.scalars, scalars)):
        found += [f"no {what} {name}" for name in sorted(_names(specs, values, (True,)) - given.keys())]
        extra = given.keys() - _names(specs, values, (True, None))
        found += [f"{what} {name} is not declared" for name in sorted(extra)]
    if checks is not None:
        found += _unmet_checks(analysis.checks, values, checks)
    for name, array in arrays.items():
        if name in shapes and shapes[name] != (array.axes, array.unit):
            found.append(f"{name} is {array.axes} in {array.unit}, declared {shapes[name]}")
    return found


def _unmet_checks(
    specs: Iterable[CheckSpec], values: Mapping[str, Any], checks: Mapping[str, tuple[float, float]]
) -> list[str]:
    holding = {spec.name: spec for spec in specs if spec.when.holds(values) is not False}
    needed = {name for name, spec in holding.items() if spec.when.holds(values)}
    found = [f"no check {name}" for name in sorted(needed - checks.keys())]
    found += [f"check {name} is not declared" for name in sorted(checks.keys() - holding.keys())]
    for name, (value, limit) in checks.items():
        if name in holding and limit != holding[name].limit.float32:
            found.append(f"{name} has the limit {limit}, declared {holding[name].limit.float32}")
        if not value <= limit:
            found.append(f"{name} is {value}, over its limit {limit}")
    return found


def _values(request: Request) -> dict[str, Any]:
    return {**ANALYSES[request.analysis].values(request), "given": Asked.of(request).given}


def _names(
    specs: Iterable[ArraySpec] | Iterable[ScalarSpec],
    values: Mapping[str, Any],
    holding: tuple[bool | None, ...],
) -> set[str]:
    return {name for spec in specs if spec.when.holds(values) in holding for name in spec.names}
