"""Question files: MMLU-style CSV and JSONL, parsed from bytes. A mistake is reported with its line."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from backend.contract.errors import QuestionError, shown
from backend.contract.question import Question

MAX_QUESTIONS = 5_000
MAX_BYTES = 5 * 1024 * 1024
LETTERS = "ABCDEFGHIJ"
STEM_COLUMNS = ("question", "stem")

Questions = tuple[Question, ...]


def parse_csv(data: bytes) -> Questions:
    """Questions from UTF-8 CSV: question, four options, letter, and perhaps a subject, in this order.

    A first line that names the columns (question, A, B, ..., answer, subject) allows any order and 2 to 10
    options. Raises QuestionError for a file too large, empty or with mistakes, naming the first line.
    """
    rows = csv.reader(io.StringIO(_decoded(data), newline=""), strict=True)
    return _collected(_csv_records(rows))


def parse_jsonl(data: bytes) -> Questions:
    """Questions from UTF-8 JSONL: on each line an object with stem, options, answer and perhaps subject.

    answer is the right option's index from 0, its letter, or null. Raises QuestionError as `parse_csv` does.
    """
    # Not splitlines: it also splits at U+2028, which a JSON text may contain.
    lines = enumerate(_decoded(data).split("\n"), start=1)
    return _collected((number, _from_line, line) for number, line in lines if line.strip())


# The line where a question starts, the function that parses it, and its text or cells.
Record = tuple[int, Callable[[Any], Question], Any]


def _collected(records: Iterable[Record]) -> Questions:
    questions: list[Question] = []
    mistakes: list[str] = []
    for number, parse, raw in records:
        if len(questions) + len(mistakes) == MAX_QUESTIONS:
            raise QuestionError(f"The file has more than {MAX_QUESTIONS:,} questions. Upload it in parts.")
        try:
            questions.append(parse(raw))
        except QuestionError as error:
            mistakes.append(f"Line {number}: {error}")
    if mistakes:
        others = len(mistakes) - 1
        more = (
            f" {others:,} other question{'s have' if others > 1 else ' has'} mistakes too." if others else ""
        )
        raise QuestionError(mistakes[0] + more)
    if not questions:
        raise QuestionError("The file has no questions.")
    return tuple(questions)


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise QuestionError(
            f"The file is {len(data):,} bytes; at most {MAX_BYTES:,} are read. Upload it in parts."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise QuestionError(
            f"Line {line}: the byte 0x{data[error.start]:02X} is not UTF-8. Save the file as UTF-8."
        ) from error


def _from_line(line: str) -> Question:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QuestionError(f"this is not JSON ({error}). Write one object on each line.") from error
    if isinstance(data, dict) and isinstance(data.get("answer"), str):
        data["answer"] = _index(data["answer"], LETTERS)
    return Question.from_json(data)


def _index(letter: str, letters: str) -> int:
    index = letters.find(letter.strip().upper())
    if index < 0 or len(letter.strip()) != 1:
        raise QuestionError(
            f"The right answer must be one of the letters {letters[0]} to {letters[-1]}, not {shown(letter)}."
        )
    return index


@dataclass(frozen=True)
class _Columns:
    """The meaning of a row's columns, as indices; `subject` is None if there is no such column."""

    width: int
    stem: int
    options: tuple[int, ...]
    answer: int
    subject: int | None

    def parse(self, row: list[str]) -> Question:
        if len(row) != self.width:
            raise QuestionError(
                f"{len(row)} columns instead of {self.width}. Put quotes around a text that contains a comma."
            )
        return Question(
            stem=row[self.stem],
            options=tuple(row[column] for column in self.options),
            answer=_index(row[self.answer], LETTERS[: len(self.options)]),
            subject=Question.subject if self.subject is None else row[self.subject],
        )


def _csv_records(rows: Any) -> Iterator[Record]:
    columns: _Columns | None = None
    for number, row in _numbered(rows):
        if columns is None:
            named = _header(row)
            columns = named or _unnamed(len(row), number)
            if named:
                continue
        yield number, columns.parse, row


def _numbered(rows: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line where it starts (a quoted text may have several lines)."""
    start = 1
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield start, row
            start = rows.line_num + 1
    except csv.Error as error:
        raise QuestionError(f"Line {start}: this is not CSV ({error}). Check its quotes.") from error


def _header(row: list[str]) -> _Columns | None:
    """The columns that a first line names; None if that line is a question."""
    names = [cell.strip().lower() for cell in row]
    stems = [column for column, name in enumerate(names) if name in STEM_COLUMNS]
    if not stems or "answer" not in names:
        return None
    letters = [letter for letter in LETTERS.lower() if letter in names]
    return _Columns(
        width=len(row),
        stem=stems[0],
        options=tuple(names.index(letter) for letter in letters),
        answer=names.index("answer"),
        subject=names.index("subject") if "subject" in names else None,
    )


def _unnamed(width: int, number: int) -> _Columns:
    if width not in (6, 7):
        raise QuestionError(
            f"Line {number}: {width} columns. A line is: question, four options, letter, perhaps a subject."
        )
    return _Columns(width=width, stem=0, options=(1, 2, 3, 4), answer=5, subject=6 if width == 7 else None)
