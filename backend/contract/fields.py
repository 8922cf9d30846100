"""Reading JSON objects whose fields are known, and writing the one text of a value."""

import json
from collections.abc import Mapping
from typing import Any

from backend.contract.errors import RequestError, shown


def fields_of(what: str, data: object, names: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a JSON object. Raises RequestError for no object, and for a field that is not among `names`."""
    if not isinstance(data, Mapping):
        raise RequestError(f"{what} must be an object, not {shown(data)}.")
    for key in data:
        if key not in names:
            raise RequestError(f"{what} has no field {shown(key)}. Use {', '.join(names)}.")
    return dict(data)


def canonical_json(data: object) -> str:
    """One ASCII text for one value: sorted keys, no blanks. Raises RequestError for what JSON cannot carry."""
    try:
        return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestError(f"The request holds a value that JSON cannot carry: {error}.") from error
