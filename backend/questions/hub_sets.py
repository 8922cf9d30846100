"""Multiple-choice data sets of the Hugging Face hub, by name: `hub:cais/mmlu/astronomy`.

Their test split, or where there is none their validation split, is read from parquet files of any format that uploads
may have too (formats/registry.py). No code of the repository is run.
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

from huggingface_hub import snapshot_download

# The root of the errors of whichever HTTP library the hub's library uses.
from huggingface_hub.errors import HTTPError, RepositoryNotFoundError  # type: ignore[attr-defined]

from backend.contract.errors import QuestionError, shown
from backend.contract.files import AS_FOUND, FileRead, summary
from backend.questions.bank import Bank
from backend.questions.files import Limits, read_table
from backend.questions.formats.parquet_table import MAX_ROWS, parquet_table
from backend.questions.formats.table import Row, Table

PREFIX = "hub:"
NAME = re.compile(r"hub:(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:/(?P<subset>\w[\w.-]*))?", re.ASCII)
# Repositories without subsets keep their files here.
WITHOUT_SUBSET = "data"
SPLITS = ("test", "validation")
SECONDS = 10


class _DamagedError(QuestionError):
    """A file is not what the hub has."""


@lru_cache(maxsize=8)
def load(name: str) -> Bank:
    """The data set `name`, downloaded once. Its title tells how many questions are left out, and why.

    Raises QuestionError where the name is unknown, the hub out of reach, or the files are of another kind.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise QuestionError(
            f"{shown(name)} is not the name of a hub data set. Write it like hub:cais/mmlu/astronomy."
        )
    subset = match["subset"] or WITHOUT_SUBSET
    try:
        split, read = read_folder(_downloaded(match["repository"], subset), subset)
    except _DamagedError:  # in the hub's cache, which would give the same file for ever
        split, read = read_folder(_downloaded(match["repository"], subset, again=True), subset)
    said = [f"{split} split"] if split != SPLITS[0] else []
    said += [f"left out: {summary(read.left_out)}"] if read.left_out else []
    title = name.removeprefix(PREFIX) + (f" ({'; '.join(said)})" if said else "")
    return Bank(name, title, read.questions)


def read_folder(folder: Path, subset: str) -> tuple[str, FileRead]:
    """The split that is read, and what is in its files `folder/subset/test-*.parquet`.

    Raises QuestionError as `load` does.
    """
    found = {split: sorted((folder / subset).glob(f"{split}-*.parquet")) for split in SPLITS}
    split = next((split for split in SPLITS if found[split]), "")
    if not split:
        raise QuestionError(
            f"The data set has no {' or '.join(SPLITS)} split named {shown(subset)}. "
            "Write it like hub:cais/mmlu/astronomy."
        )
    tables = [_table(file) for file in found[split]]
    rows = [row for table in tables for row in table.rows]
    numbered = tuple(Row(f"Row {number}", row.cells) for number, row in enumerate(rows, start=1))
    everything = Table(tables[0].columns, numbered)
    try:
        return split, read_table(everything, AS_FOUND, limits=Limits(questions=MAX_ROWS))
    except QuestionError as error:
        raise QuestionError(
            f"The data set's part {shown(subset)} cannot be used: {error} Or upload its questions as a file."
        ) from error


def _downloaded(repository: str, subset: str, again: bool = False) -> Path:
    """The folder of the hub's cache; with `again`, what is there already is downloaded once more."""
    try:
        folder = snapshot_download(
            repository,
            repo_type="dataset",
            allow_patterns=[f"{subset}/{split}-*.parquet" for split in SPLITS],
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


def _table(file: Path) -> Table:
    try:
        _check_digest(file)
        return parquet_table(file.read_bytes())
    except (OSError, ValueError, QuestionError) as error:
        raise _DamagedError(
            f"The file {file.name} of the data set cannot be read ({shown(str(error), 200)}). "
            "Load the data set again when the hub can be reached, or upload the questions as a file."
        ) from error


def _check_digest(file: Path) -> None:
    """Raise ValueError where a file of the hub's cache is not the one it is named by.

    The cache keeps a large file under its SHA-256, and the file we see is a link to that.
    """
    name = file.resolve().name
    if re.fullmatch("[0-9a-f]{64}", name) and hashlib.sha256(file.read_bytes()).hexdigest() != name:
        raise ValueError("it is damaged on the disk")
