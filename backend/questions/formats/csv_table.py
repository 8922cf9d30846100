"""CSV with commas, semicolons or tabs, with or without a first line that names the columns."""

import csv
import io
import re
from collections import Counter

from backend.contract.errors import QuestionError, shown
from backend.contract.files import DELIMITERS
from backend.questions.formats.names import is_header
from backend.questions.formats.table import Row, RowError, Table, check_columns

# A file is of a delimiter where it gives this share of the rows one width.
REGULAR = 0.8
MIN_WIDTH = 3
BLANK_BEFORE_QUOTE = re.compile(r'\s+"')

Numbered = list[tuple[int, list[str]]]


def csv_table(text: str, delimiter: str = "", header: bool | None = None) -> Table:
    """The table of a CSV text. A row of another width than the first has a fault.

    Raises QuestionError where the quotes do not close, two delimiters fit, or two columns have one name.
    """
    rows, notes = _delimited(text, delimiter)
    if not rows:
        return Table((), ())
    _, first = rows[0]
    headed = is_header(first) if header is None else header
    if headed:
        check_columns(tuple(first))
        names = tuple(name.strip() or f"column {place}" for place, name in enumerate(first, start=1))
        rows = rows[1:]
    else:
        names = tuple(f"column {place}" for place in range(1, len(first) + 1))
    return Table(names, tuple(_row(line, cells, names) for line, cells in rows), headed, notes)


def _row(line: int, cells: list[str], names: tuple[str, ...]) -> Row:
    fault = None
    if len(cells) != len(names):
        fault = RowError(
            "other number of columns",
            f"{len(cells)} columns instead of {len(names)}. Put quotes around a text that contains a comma.",
        )
    return Row(f"Line {line}", dict(zip(names, cells, strict=False)), fault)


def _delimited(text: str, delimiter: str) -> tuple[Numbered, tuple[str, ...]]:
    """The rows of the one delimiter that fits."""
    if delimiter:
        return _rows(text, DELIMITERS[delimiter])
    fitting = []
    for name, mark in DELIMITERS.items():
        try:
            found = _rows(text, mark)
        except QuestionError:
            continue
        widths = Counter(len(cells) for _, cells in found[0])
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        if width >= MIN_WIDTH and count >= REGULAR * len(found[0]):
            fitting.append((name, found))
    if len(fitting) > 1:
        raise QuestionError(
            f"The file can be read with {' or '.join(name for name, _ in fitting)} between its columns. "
            "Say which it is."
        )
    return fitting[0][1] if fitting else _rows(text, ",")


def _rows(text: str, mark: str) -> tuple[Numbered, tuple[str, ...]]:
    rows = _numbered(text, mark)
    if not any(BLANK_BEFORE_QUOTE.match(cell) for _, row in rows for cell in row):
        return rows, ()
    note = "Blanks after a delimiter are not read: the file has them before quotes."
    return _numbered(text, mark, blanks=True), (note,)


def _numbered(text: str, mark: str, *, blanks: bool = False) -> Numbered:
    """Rows that are not blank, each with the line where it starts (a quoted text may have several lines)."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark, skipinitialspace=blanks)
    found: Numbered = []
    start = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append((start, row))
            start = reader.line_num + 1
    except csv.Error as error:
        raise QuestionError(
            f"Line {start}: this is not CSV ({error}). Check its quotes; what is around it: "
            f"{shown(text.splitlines()[start - 1] if start <= text.count(chr(10)) + 1 else '', 60)}."
        ) from error
    return found
