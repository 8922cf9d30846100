"""JSON: an array of objects, or JSONL with an object on each line."""

import json
from collections.abc import Sequence
from typing import Any

from backend.contract.errors import QuestionError, shown
from backend.questions.formats.table import Row, RowError, Table

ADVICE = "Write an array of objects, or one object on each line."


def json_table(text: str) -> Table:
    """The table of a JSON array or of JSONL. Raises QuestionError where an array cannot be read.

    A line that is not JSON, or an object that names a field twice, is a row with a fault.
    """
    if text.lstrip().startswith("["):
        return _table(_array(text))
    # Not splitlines: it also splits at U+2028, which a JSON text may contain.
    lines = enumerate(text.split("\n"), start=1)
    return _table([_line(f"Line {number}", line) for number, line in lines if line.strip()])


def _table(rows: Sequence[Row]) -> Table:
    columns = dict.fromkeys(name for row in rows for name in row.cells)
    return Table(tuple(columns), tuple(rows))


def _array(text: str) -> list[Row]:
    try:
        items = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except RowError as error:
        raise QuestionError(f"{error} {ADVICE}") from error
    except (ValueError, RecursionError) as error:
        raise QuestionError(f"This is not JSON ({error}). {ADVICE}") from error
    return [_object(f"Item {number}", item) for number, item in enumerate(items, start=1)]


def _line(place: str, line: str) -> Row:
    try:
        return _object(place, json.loads(line, object_pairs_hook=_pairs, parse_constant=_constant))
    except RowError as error:
        return Row(place, {}, error)
    except (ValueError, RecursionError) as error:
        return Row(place, {}, RowError("not JSON", f"this is not JSON ({error}). {ADVICE}"))


def _object(place: str, item: object) -> Row:
    if isinstance(item, dict):
        return Row(place, item)
    return Row(place, {}, RowError("not an object", f"A question is an object, not {shown(item)}. {ADVICE}"))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RowError("field named twice", f"The field {shown(twice)} is named twice. Name each field once.")
    return found


def _constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
