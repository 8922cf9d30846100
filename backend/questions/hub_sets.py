"""Multiple-choice data sets of the Hugging Face hub, by name: `hub:cais/mmlu/astronomy`.

Their test split is read from parquet files with the columns question, choices, answer and perhaps subject, as
cais/mmlu has them. No code of the repository is run.
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

# The root of the errors of whichever HTTP library the hub's library uses.
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError  # type: ignore[attr-defined]

from backend.contract.errors import QuestionError, shown
from backend.contract.question import Question
from backend.questions.bank import Bank

PREFIX = "hub:"
NAME = re.compile(r"hub:(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:/(?P<subset>\w[\w.-]*))?", re.ASCII)
# Repositories without subsets keep their files here.
WITHOUT_SUBSET = "data"
COLUMNS = {"question", "choices", "answer"}
SECONDS = 10


class _DamagedError(QuestionError):
    """A file is not what the hub has."""


@lru_cache(maxsize=8)
def load(name: str) -> Bank:
    """The data set `name`, downloaded once. Its title tells how many questions are left out (equal options).

    Raises QuestionError where the name is unknown, the hub out of reach, or the files are of another kind.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise QuestionError(
            f"{shown(name)} is not the name of a hub data set. Write it like hub:cais/mmlu/astronomy."
        )
    subset = match["subset"] or WITHOUT_SUBSET
    try:
        questions, left_out = read_folder(_downloaded(match["repository"], subset), subset)
    except _DamagedError:  # in the hub's cache, which would give the same file for ever
        questions, left_out = read_folder(_downloaded(match["repository"], subset, again=True), subset)
    title = name.removeprefix(PREFIX) + (f" (left out as not usable: {left_out})" if left_out else "")
    return Bank(name, title, questions)


def read_folder(folder: Path, subset: str) -> tuple[tuple[Question, ...], int]:
    """The questions in `folder/subset/test-*.parquet`, and how many others are not usable.

    Raises QuestionError as `load` does.
    """
    files = sorted((folder / subset).glob("test-*.parquet"))
    if not files:
        raise QuestionError(
            f"The data set has no test split named {shown(subset)}. Write it like hub:cais/mmlu/astronomy."
        )
    rows = [row for file in files for row in _rows(file)]
    questions = [question for row in rows if (question := _question(row))]
    if not questions:
        raise QuestionError(f"The data set's part {shown(subset)} holds no usable questions.")
    return tuple(questions), len(rows) - len(questions)


def _downloaded(repository: str, subset: str, again: bool = False) -> Path:
    """The folder of the hub's cache; with `again`, what is there already is downloaded once more."""
    try:
        folder = snapshot_download(
            repository,
            repo_type="dataset",
            allow_patterns=f"{subset}/test-*.parquet",
            etag_timeout=SECONDS,
            force_download=again,
        )
    except RepositoryNotFoundError as error:
        raise QuestionError(f"The hub has no public data set {shown(repository)}. Check its name.") from error
    except (OSError, ValueError, HTTPError) as error:
        reason = str(error.__cause__ or error).strip().split("\n")[0]
        raise QuestionError(
            f"The data set {shown(repository)} cannot be had from the hub ({reason}). "
            "Check the connection, or upload the questions as a file."
        ) from error
    return Path(folder)


def _rows(file: Path) -> list[dict[str, Any]]:
    # Here and not above: it takes half a second to import and most sessions never need it.
    import pyarrow
    import pyarrow.parquet

    try:
        _check_digest(file)
        table = pyarrow.parquet.read_table(file)
        rows: list[dict[str, Any]] = table.to_pylist()
    except (OSError, ValueError, ArithmeticError, pyarrow.ArrowException) as error:
        raise _DamagedError(
            f"The file {file.name} of the data set cannot be read ({shown(str(error), 200)}). "
            "Load the data set again when the hub can be reached, or upload the questions as a file."
        ) from error
    if not COLUMNS.issubset(table.column_names):
        raise QuestionError(
            f"The data set has the columns {', '.join(table.column_names)}; "
            f"{', '.join(sorted(COLUMNS))} are needed. Upload its questions as a file."
        )
    return rows


def _check_digest(file: Path) -> None:
    """Raise ValueError where a file of the hub's cache is not the one it is named by.

    The cache keeps a large file under its SHA-256, and the file we see is a link to that.
    """
    name = file.resolve().name
    if re.fullmatch("[0-9a-f]{64}", name) and hashlib.sha256(file.read_bytes()).hexdigest() != name:
        raise ValueError("it is damaged on the disk")


def _question(row: dict[str, Any]) -> Question | None:
    subject = row.get("subject") or Question.subject
    try:
        return Question.from_json(
            {
                "stem": row["question"],
                "options": row["choices"],
                "answer": row["answer"],
                "subject": subject.replace("_", " ") if isinstance(subject, str) else subject,
            }
        )
    except QuestionError:
        return None
