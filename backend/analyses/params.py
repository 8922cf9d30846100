"""Reading a request's params: each refusal names the parameter and its value."""

from collections.abc import Collection, Mapping
from typing import Any

from backend.contract.errors import RequestError, shown


def whole(params: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    """A whole number among the params. Raises RequestError."""
    value = params.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise RequestError(f"params.{name} must be a whole number from {low} to {high}, not {shown(value)}.")
    return value


def true_or_false(params: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A switch among the params. Raises RequestError."""
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"params.{name} must be true or false, not {shown(value)}.")
    return value


def one_of(params: Mapping[str, Any], name: str, allowed: Collection[str], default: str = "") -> str:
    """One of some words among the params, by default the first. Raises RequestError."""
    value = params.get(name, default or next(iter(allowed)))
    if value not in list(allowed):
        raise RequestError(f"params.{name} must be one of {', '.join(allowed)}, not {shown(value)}.")
    return str(value)
