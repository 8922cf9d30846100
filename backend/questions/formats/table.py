"""What every file becomes before a format is looked for: columns, and rows that know their place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.contract.errors import QuestionError, shown

MAX_COLUMNS_SHOWN = 20


class RowError(QuestionError):
    """One row is not usable. `kind` names the kind of fault, under which it is counted."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Row:
    """One row: its place as a person finds it, its cells by column, and the fault that makes it no row at all."""

    place: str
    cells: Mapping[str, Any]
    fault: RowError | None = None


@dataclass(frozen=True)
class Table:
    """Rows under named columns. `headed`: whether the file names its columns (else they are "column 1" and so on)."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    headed: bool = True
    notes: tuple[str, ...] = ()

    def seen(self) -> str:
        """The columns as a message shows them."""
        names = ", ".join(shown(name, 40) for name in self.columns[:MAX_COLUMNS_SHOWN])
        return names + (", …" if len(self.columns) > MAX_COLUMNS_SHOWN else "")

    def first(self) -> Mapping[str, Any]:
        """The cells of the first row that is one; none where there is no such row."""
        return next((row.cells for row in self.rows if row.fault is None), {})


def folded(name: str) -> str:
    """A column's name for comparing: no blanks around it, small letters."""
    return name.strip().lower()


def check_columns(names: tuple[str, ...]) -> None:
    """Raise QuestionError where two columns have one name: it would not be known which is meant."""
    seen: dict[str, str] = {}
    for name in names:
        if name.strip() and folded(name) in seen:
            raise QuestionError(
                f"Two columns have the name {shown(name.strip())}. Give each column its own name."
            )
        seen[folded(name)] = name
