"""Tables of other names: columns told by names in use, or mapped by hand."""

from collections.abc import Mapping
from typing import Any

from backend.contract.errors import QuestionError, shown
from backend.contract.files import ANSWER_KINDS, Columns
from backend.questions.formats.answers import missing
from backend.questions.formats.names import ANSWERS, LISTS, STEMS, SUBJECTS, one_of, option_columns
from backend.questions.formats.raw import Raw, text, texts
from backend.questions.formats.registry import Format
from backend.questions.formats.table import RowError, Table, folded

TITLE = "Columns by name"


def named_columns(table: Table) -> Columns:
    """The columns that the names tell. Raises QuestionError saying what was seen where they do not."""
    if not table.headed:
        raise QuestionError(
            "The first line names no columns that are known, and is not a question of MMLU's form (question, four "
            f"options, letter). It has {len(table.columns)} cells: "
            f"{', '.join(shown(cell, 30) for cell in table.first().values()) or 'none'}. Map the columns by hand."
        )
    stem = one_of(table.columns, STEMS, "question")
    answer = one_of(table.columns, ANSWERS, "answer")
    lists = one_of(table.columns, LISTS, "options")
    single = option_columns(table.columns)
    if lists and single:
        raise QuestionError(
            f"The column {shown(lists)} and the columns {', '.join(single)} could both be the options. "
            "Map the columns by hand."
        )
    options = (lists,) if lists else single
    lacking = [
        what for what, found in (("question", stem), ("options", options), ("answer", answer)) if not found
    ]
    if lacking:
        raise QuestionError(
            f"No column is known to be the {' or the '.join(lacking)}. The file has the columns {table.seen()}. "
            "Map the columns by hand."
        )
    return Columns(stem, options, answer, one_of(table.columns, SUBJECTS, "subject"))


def column_format(table: Table, columns: Columns) -> Format:
    """The format of a table whose columns are known. Raises QuestionError for a column that it does not have."""
    for name in (columns.stem, *columns.options, columns.answer, columns.subject):
        if name and name not in table.columns:
            raise QuestionError(f"There is no column {shown(name)}. The file has {table.seen()}.")
    lettered = all(folded(name) in tuple("abcdefghij") for name in columns.options)
    kinds = ("letter", "from-0", "from-1") if lettered else tuple(ANSWER_KINDS)

    def read(cells: Mapping[str, Any]) -> Raw:
        subject = cells.get(columns.subject) if columns.subject else None
        return Raw(
            text(cells.get(columns.stem), "question"),
            _options(cells, columns.options),
            cells.get(columns.answer) if columns.answer else None,
            subject="" if missing(subject) else str(subject),
        )

    return Format(TITLE, lambda _: True, read, kinds)


def _options(cells: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """The options of a row. Cells empty at the end are options that this question does not have."""
    if len(names) == 1:
        return texts(cells.get(names[0]))
    found = [_cell(cells.get(name), name) for name in names]
    while found and not found[-1].strip():
        found.pop()
    return tuple(found)


def _cell(value: object, name: str) -> str:
    if missing(value):
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        raise RowError("not a text", f"The option in {shown(name)} must be a text, not {shown(value)}.")
    return text(value, name)
