"""Question files on the command line: `read FILE`, and a request that names a file in place of a bank.

Only here is a path taken from a request: a page or a server reads no file that a request names.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.contract.errors import QuestionError, RequestError, shown
from backend.contract.fields import fields_of
from backend.contract.files import ANSWER_KINDS, DELIMITERS, ENCODINGS, Columns, FileRead, Reading, summary
from backend.contract.request import QuestionSet
from backend.questions.banks import drawn_from
from backend.questions.files import Limits, read_file
from backend.questions.formats.registry import REGISTRY

MOST = Limits(bytes=500 * 10**6, questions=200_000)
OF_A_FILE = ("format", "answers", "encoding", "delimiter")


def add_read(commands: Any) -> None:
    """Add the command `read` to a parser's commands."""
    read = commands.add_parser("read", help="print the questions of a file, one JSON object a line")
    read.add_argument("file", type=Path, help=".csv, .tsv, .json, .jsonl or .parquet")
    read.add_argument("--format", default="", choices=(*REGISTRY, "columns"), help="by default found")
    read.add_argument("--answers", default="", choices=tuple(ANSWER_KINDS), help="what an answer is")
    read.add_argument("--encoding", default="", choices=ENCODINGS)
    read.add_argument("--delimiter", default="", choices=tuple(DELIMITERS))
    read.add_argument(
        "--header", default=None, choices=("yes", "no"), help="whether line 1 names the columns"
    )
    read.add_argument(
        "--stem", default="", metavar="COLUMN", help="the question's column, to map columns by hand"
    )
    read.add_argument("--options", default=(), nargs="+", metavar="COLUMN")
    read.add_argument("--answer", default="", metavar="COLUMN")
    read.add_argument("--subject", default="", metavar="COLUMN")
    read.set_defaults(command=_read)


def _read(options: argparse.Namespace) -> None:
    by_hand = options.stem or options.options
    columns = (
        Columns(options.stem, tuple(options.options), options.answer, options.subject) if by_hand else None
    )
    header = None if options.header is None else options.header == "yes"
    named = {name: getattr(options, name) for name in OF_A_FILE}
    read = _of(options.file, Reading(columns=columns, header=header, **named))
    for question in read.questions:
        print(json.dumps(question.to_json(), ensure_ascii=False))
    _tell(read)


def with_questions(request: object) -> object:
    """The request with the questions of the file that it names; as it is where it names none.

    The questions are drawn as from a bank. Raises RequestError, QuestionError.
    """
    asked = request.get("questions") if isinstance(request, Mapping) else None
    if not isinstance(request, Mapping) or not isinstance(asked, Mapping) or "file" not in asked:
        return request
    fields = fields_of("questions", asked, ("file", "limit", "seed", "draw", *OF_A_FILE))
    texts = {name: fields.pop(name) for name in ("file", *OF_A_FILE) if name in fields}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise RequestError(f"questions.{name} must be a text, not {shown(value)}.")
    path = Path(texts.pop("file"))
    drawing = QuestionSet.from_json({"bank": str(path), **fields})
    read = _of(path, Reading(**texts))
    _tell(read)
    return {**request, "questions": [q.to_json() for q in drawn_from(read.questions, drawing)]}


def _of(path: Path, reading: Reading) -> FileRead:
    try:
        size = path.stat().st_size
        if size > MOST.bytes:
            raise QuestionError(f"The file {path} is {size:,} bytes; at most {MOST.bytes:,} are read.")
        data = path.read_bytes()
    except OSError as error:
        raise RequestError(f"The file {path} cannot be read: {error.strerror}.") from error
    return read_file(path.name, data, reading, MOST)


def _tell(read: FileRead) -> None:
    for row in read.left_out:
        print(f"{row.place}: left out: {row.reason}", file=sys.stderr)
    for note in read.notes:
        print(note, file=sys.stderr)
    left_out = f"; left out: {summary(read.left_out)}" if read.left_out else ""
    print(f"{len(read.questions):,} questions, read as {read.format}{left_out}.", file=sys.stderr)
