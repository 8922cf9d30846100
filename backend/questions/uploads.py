"""Uploaded question files, kept as banks in the cache folder under the digest of what they hold."""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path

from backend.contract.errors import QuestionError, StoreError, shown
from backend.contract.files import AS_FOUND, Reading, summary
from backend.contract.question import Question
from backend.home import home
from backend.questions.bank import Bank
from backend.questions.files import read_file
from backend.whole_file import write_whole

PREFIX = "upload-"
NAME = re.compile(r"upload-[0-9a-f]{12}")
MAX_TITLE = 80
MAX_UPLOADS = 200
MAX_BYTES = 500 * 10**6


def keep(file_name: str, data: bytes, reading: Reading = AS_FOUND) -> Bank:
    """Keep a file as a bank; the same file under the same name, read in the same way, is the same bank.

    Its title tells what was left out. Raises QuestionError where the file is not usable, StoreError where it cannot be
    written.
    """
    read = read_file(file_name, data, reading)
    left_out = f" (left out: {summary(read.left_out)})" if read.left_out else ""
    header = {"title": _title(file_name) + left_out}
    lines: list[object] = [header, *(question.to_json() for question in read.questions)]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    name = PREFIX + _digest(content)
    _refuse_too_many(name, len(content))
    try:
        write_whole(path(name), content)
    except OSError as error:
        raise StoreError(
            f"The upload cannot be kept in {folder()} ({error.strerror}). Make room there or set LETTERHEADS_HOME."
        ) from error
    return _parsed(name, content)


def delete(name: str) -> None:
    """Delete one of `names()`; at once where it is not there any more. Raises QuestionError, StoreError."""
    if not NAME.fullmatch(name):
        raise QuestionError(f"{shown(name)} is not the name of an uploaded bank.")
    try:
        path(name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"The upload cannot be deleted from {folder()} ({error.strerror}).") from error


def _refuse_too_many(name: str, more: int) -> None:
    """Raises QuestionError where the uploads would be more, or larger, than are kept."""
    sizes = [file.stat().st_size for file in folder().glob(f"{PREFIX}*.jsonl") if file.stem != name]
    if len(sizes) >= MAX_UPLOADS or sum(sizes) + more > MAX_BYTES:
        raise QuestionError(
            f"There are {len(sizes)} uploaded banks of {sum(sizes) / 1e6:.0f} MB; at most {MAX_UPLOADS} banks and "
            f"{MAX_BYTES / 1e6:.0f} MB are kept. Delete one that you do not need, then upload this one again."
        )


def names() -> tuple[str, ...]:
    """The names of the banks kept, in alphabetical order."""
    found = (path.stem for path in folder().glob(f"{PREFIX}*.jsonl"))
    return tuple(sorted(name for name in found if NAME.fullmatch(name)))


def load(name: str) -> Bank:
    """One of `names()`. Raises QuestionError where it is missing or damaged."""
    if not NAME.fullmatch(name):
        raise QuestionError(f"{shown(name)} is not the name of an uploaded bank.")
    try:
        content = path(name).read_bytes()
    except OSError as error:
        raise QuestionError(
            f"The uploaded bank {name} cannot be read ({error.strerror}). Upload its file again."
        ) from error
    if PREFIX + _digest(content) != name:
        raise QuestionError(f"The uploaded bank {name} is damaged on the disk. Upload its file again.")
    return _parsed(name, content)


@lru_cache(maxsize=4)
def _parsed(name: str, content: bytes) -> Bank:
    """Without the limits of an upload: written out, a file may be somewhat longer than it was."""
    header, *lines = content.splitlines()
    return Bank(
        name,
        json.loads(header)["title"],
        tuple(Question.from_json(json.loads(line)) for line in lines),
    )


def folder() -> Path:
    """Where uploads are kept."""
    return home() / "banks"


def path(name: str) -> Path:
    """The file of one of `names()`."""
    return folder() / f"{name}.jsonl"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _title(file_name: str) -> str:
    """The user's name for the file as one line of visible text."""
    return "".join(c if c.isprintable() else " " for c in file_name)[:MAX_TITLE]
