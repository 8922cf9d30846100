"""Question files: from bytes to questions. One table of readers serves uploads, the hub and the command line.

A row that is no usable question is left out and counted, with its place and reason. Where more than a fifth would be
left out the file is refused: it is then more likely read in a wrong way than full of faults.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.contract.errors import QuestionError, shown
from backend.contract.files import AS_FOUND, FilePreview, FileRead, LeftOut, Reading, summary
from backend.contract.question import Question
from backend.questions.formats.answers import index_of, kind_of, missing
from backend.questions.formats.columns import column_format, named_columns
from backend.questions.formats.csv_table import csv_table
from backend.questions.formats.json_table import json_table
from backend.questions.formats.parquet_table import parquet_table
from backend.questions.formats.raw import Raw
from backend.questions.formats.registry import REGISTRY, Format
from backend.questions.formats.table import Row, RowError, Table
from backend.questions.formats.text import decoded

MAX_QUESTIONS = 5_000
MAX_BYTES = 5 * 1024 * 1024
MAX_LEFT_OUT = 0.2
PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 200
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
# MMLU's files are named after their subject.
SUBJECT_FILE = re.compile(r"(?P<subject>[a-z_]+)_(?:test|dev|val)\.csv")
# What the message of a refused question holds, and the kind under which it is counted.
FAULTS = (
    ("are the same", "equal options"),
    ("is empty", "empty text"),
    ("control character", "control character"),
    ("options; this one has", "number of options"),
)


@dataclass(frozen=True)
class Limits:
    """The most bytes and questions of one file."""

    bytes: int = MAX_BYTES
    questions: int = MAX_QUESTIONS


OF_UPLOADS = Limits()


def read_file(name: str, data: bytes, reading: Reading = AS_FOUND, limits: Limits = OF_UPLOADS) -> FileRead:
    """The questions of a file, and what was left out.

    Raises QuestionError where the file is too large, damaged, of no known format, of two (the message says what to
    name), or where more than a fifth of its rows are not usable.
    """
    return read_table(table_of(name, data, reading, limits), reading, name, limits)


def table_of(name: str, data: bytes, reading: Reading = AS_FOUND, limits: Limits = OF_UPLOADS) -> Table:
    """The table in a file. The end of its name tells its kind. Raises QuestionError as `read_file` does."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in SUFFIXES:
        raise QuestionError(
            f"The file {shown(name)} is none of {', '.join(SUFFIXES)}. Use one of these kinds."
        )
    if len(data) > limits.bytes:
        raise QuestionError(
            f"The file is {len(data):,} bytes; at most {limits.bytes:,} are read. Use it in parts."
        )
    if suffix == ".parquet":
        return parquet_table(data)
    text = decoded(data, reading.encoding)
    if suffix in (".json", ".jsonl"):
        return json_table(text)
    return csv_table(text, reading.delimiter or ("tab" if suffix == ".tsv" else ""), reading.header)


def read_table(table: Table, reading: Reading, name: str = "", limits: Limits = OF_UPLOADS) -> FileRead:
    """The questions of a table. Raises QuestionError as `read_file` does."""
    if not table.rows:
        raise QuestionError("The file has no questions.")
    if len(table.rows) > limits.questions:
        raise QuestionError(f"The file has more than {limits.questions:,} questions. Use it in parts.")
    chosen, form = _format(table, reading)
    questions, left_out, notes = _questions(table, form, reading)
    _check_left_out(left_out, len(table.rows))
    subject = SUBJECT_FILE.fullmatch(name)
    if subject and chosen == "mmlu-csv" and len(table.columns) == 6:
        questions = [
            replace(question, subject=subject["subject"].replace("_", " ")) for question in questions
        ]
    return FileRead(chosen, tuple(questions), tuple(left_out), (*table.notes, *form.notes, *notes))


def preview(name: str, data: bytes, reading: Reading = AS_FOUND) -> FilePreview:
    """What is in a file before anything is kept. Raises QuestionError where there is no table in it at all."""
    table = table_of(name, data, reading)
    rows = tuple(
        tuple(_cut(row.cells.get(column)) for column in table.columns) for row in table.rows[:PREVIEW_ROWS]
    )
    try:
        return FilePreview(table.columns, rows, read_table(table, reading, name))
    except QuestionError as error:
        return FilePreview(table.columns, rows, None, str(error))


def _cut(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= PREVIEW_CHARACTERS else text[: PREVIEW_CHARACTERS - 1] + "…"


def _format(table: Table, reading: Reading) -> tuple[str, Format]:
    """The format that is named, or the only one that fits, or that of the columns' names."""
    if reading.columns:
        return "columns", column_format(table, reading.columns)
    if reading.format == "columns":
        return "columns", column_format(table, named_columns(table))
    if reading.format:
        if reading.format not in REGISTRY:
            raise QuestionError(
                f"There is no format {shown(reading.format)}. Choose one of {', '.join((*REGISTRY, 'columns'))}."
            )
        if not REGISTRY[reading.format].fits(table):
            raise QuestionError(
                f"The file is not of the format {reading.format} ({REGISTRY[reading.format].title}). "
                f"It has the columns {table.seen()}."
            )
        return reading.format, REGISTRY[reading.format]
    fitting = [name for name, form in REGISTRY.items() if form.fits(table)]
    if len(fitting) > 1:
        raise QuestionError(
            f"The file fits {len(fitting)} formats: {', '.join(fitting)}. Say which it is. "
            f"It has the columns {table.seen()}."
        )
    if fitting:
        return fitting[0], REGISTRY[fitting[0]]
    faults = [row for row in table.rows if row.fault]
    if len(faults) == len(table.rows):
        raise _all_faults(faults)
    return "columns", column_format(table, named_columns(table))


def _all_faults(rows: Sequence[Row]) -> QuestionError:
    more = f" {len(rows) - 1:,} other rows have mistakes too." if len(rows) > 1 else ""
    return QuestionError(f"{rows[0].place}: {rows[0].fault}{more}")


def _questions(
    table: Table, form: Format, reading: Reading
) -> tuple[list[Question], list[LeftOut], tuple[str, ...]]:
    left_out: list[LeftOut] = []
    raws: list[tuple[Row, Raw]] = []
    for row in table.rows:
        try:
            if row.fault:
                raise row.fault
            raws.append((row, form.read(row.cells)))
        except QuestionError as error:
            left_out.append(_left_out(row, error))
    unanswered = all(_without_answer(raw) for _, raw in raws)
    kind = reading.answers or (
        kind_of([(raw.answer, raw.options) for _, raw in raws], form.answers)
        if form.answers and not unanswered
        else ""
    )
    questions = []
    for row, raw in raws:
        try:
            questions.append(_question(raw, kind, unanswered or form.unanswered))
        except QuestionError as error:
            left_out.append(_left_out(row, error))
    places = {row.place: place for place, row in enumerate(table.rows)}
    left_out.sort(key=lambda row: places[row.place])
    notes = ("No question of the file has a right answer.",) if unanswered and questions else ()
    return questions, left_out, notes


def _without_answer(raw: Raw) -> bool:
    return raw.index is None and missing(raw.answer)


def _question(raw: Raw, kind: str, unanswered: bool) -> Question:
    if _without_answer(raw):
        if not unanswered:
            raise RowError("no answer", "The question has no answer, and others of the file have one.")
        return raw.question(None)
    index = raw.index if raw.index is not None else index_of(raw.answer, raw.options, kind)
    return raw.question(index)


def _left_out(row: Row, error: QuestionError) -> LeftOut:
    message = str(error)
    kind = error.kind if isinstance(error, RowError) else ""
    kind = kind or next((name for part, name in FAULTS if part in message), "not usable")
    return LeftOut(row.place, kind, message)


def _check_left_out(left_out: Sequence[LeftOut], rows: int) -> None:
    if len(left_out) > MAX_LEFT_OUT * rows:
        first = left_out[0]
        raise QuestionError(
            f"{first.place}: {first.reason} {len(left_out):,} of {rows:,} rows are not usable, more than a fifth: "
            f"{summary(tuple(left_out))}. Mend the file, or say how it is to be read."
        )
