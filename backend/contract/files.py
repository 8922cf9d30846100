"""A question file: what a user may say of how it is read, and what was seen in it."""

from collections import Counter
from dataclasses import dataclass

from backend.contract.errors import RequestError, shown
from backend.contract.question import Question

ENCODINGS = (
    "utf-8",
    "utf-16",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "koi8-r",
    "gb18030",
    "big5",
    "shift_jis",
    "euc-kr",
)
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
ANSWER_KINDS = {
    "letter": "a letter: A is the first option",
    "from-0": "a number: 0 is the first option",
    "from-1": "a number: 1 is the first option",
    "text": "the right option's text",
}
MAX_LINES_SHOWN = 5


@dataclass(frozen=True)
class Columns:
    """Columns mapped by hand, by name. `options`: a column for each option, or one column that holds a list.

    Without `answer` no question has a right answer. Raises RequestError where a column is named twice.
    """

    stem: str
    options: tuple[str, ...]
    answer: str = ""
    subject: str = ""

    def __post_init__(self) -> None:
        names = [name for name in (self.stem, *self.options, self.answer, self.subject) if name]
        if not self.stem or not self.options:
            raise RequestError("Choose a column for the question, and the columns of its options.")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise RequestError(f"The column {shown(twice[0])} is chosen twice. Choose each column once.")


@dataclass(frozen=True)
class Reading:
    """How a file is read; an empty field is found from the file, or asked for where two values fit.

    `format` is a name of the table of formats, `answers` one of ANSWER_KINDS, `delimiter` one of DELIMITERS, `header`
    whether the first line of a CSV file names its columns. Raises RequestError for another value.
    """

    format: str = ""
    columns: Columns | None = None
    answers: str = ""
    encoding: str = ""
    delimiter: str = ""
    header: bool | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("answers", tuple(ANSWER_KINDS)),
            ("encoding", ENCODINGS),
            ("delimiter", tuple(DELIMITERS)),
        ):
            value = getattr(self, name)
            if value and value not in known:
                raise RequestError(f"There is no {name} {shown(value)}. Choose one of {', '.join(known)}.")
        if self.format and self.columns:
            raise RequestError("Name a format, or map the columns by hand, not both.")


AS_FOUND = Reading()


@dataclass(frozen=True)
class LeftOut:
    """A row that is no usable question: its place as a person finds it ("Line 17"), the kind of fault, the fault."""

    place: str
    kind: str
    reason: str


@dataclass(frozen=True)
class FileRead:
    """What a file holds. `format` is the name of the format that was used; `notes` are sentences."""

    format: str
    questions: tuple[Question, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilePreview:
    """A file before anything of it is kept: its columns, its first rows, and what was read, or why it was not.

    `rows` has a text for each of `columns`, cut where it is long. `read` is None where `problem` says why.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    read: FileRead | None
    problem: str = ""


def summary(left_out: tuple[LeftOut, ...]) -> str:
    """What was left out, by kind, with its first places; empty where nothing was.

    >>> summary((LeftOut("Line 3", "equal options", "..."), LeftOut("Line 8", "equal options", "...")))
    '2 equal options (Line 3, Line 8)'
    """
    kinds: dict[str, list[str]] = {}
    for row in left_out:
        kinds.setdefault(row.kind, []).append(row.place)
    parts = []
    for kind, places in kinds.items():
        more = ", …" if len(places) > MAX_LINES_SHOWN else ""
        parts.append(f"{len(places):,} {kind} ({', '.join(places[:MAX_LINES_SHOWN])}{more})")
    return "; ".join(parts)
