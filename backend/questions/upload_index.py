"""What a page lists of each uploaded bank, so that no page has to read the banks: one small file beside them.

The index is bookkeeping. Its first line is the digest of the second, so that no damage is believed. An entry holds for
a file of the same size and time of change; where it is missing or stale, that one bank is read. Two processes may write
the index at once: the later one wins, and the next look adds what it does not have.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.contract.cards import BankCard
from backend.contract.errors import QuestionError
from backend.questions import uploads
from backend.questions.bank import Bank
from backend.whole_file import write_whole

NAME = "index.json"


def cards() -> list[BankCard]:
    """A card of every uploaded bank that can be read."""
    known = _read()
    current: dict[str, Any] = {}
    for name in uploads.names():
        with suppress(OSError, QuestionError):  # deleted just now, or damaged: not listed
            state = _state(uploads.path(name))
            entry = known.get(name)
            current[name] = (
                entry if _holds(entry, state) else {**_described(uploads.load(name)), "state": state}
            )
    if current != known:
        with suppress(OSError):
            body = json.dumps(current).encode()
            write_whole(_path(), _digest(body) + b"\n" + body)
    return [
        BankCard(name, entry["title"], entry["questions"], tuple(entry["subjects"]))
        for name, entry in current.items()
    ]


def card_of(bank: Bank) -> BankCard:
    """A bank as a page shows it."""
    return BankCard(bank.name, **_card_fields(bank))


def _card_fields(bank: Bank) -> dict[str, Any]:
    subjects = tuple(sorted({question.subject for question in bank.questions}))
    return {"title": bank.title, "questions": len(bank.questions), "subjects": subjects}


def _described(bank: Bank) -> dict[str, Any]:
    fields = _card_fields(bank)
    return {**fields, "subjects": list(fields["subjects"])}


def _holds(entry: object, state: list[int]) -> bool:
    """Whether an entry is whole and of the file as it is now."""
    return (
        isinstance(entry, Mapping)
        and entry.get("state") == state
        and isinstance(entry.get("title"), str)
        and type(entry.get("questions")) is int
        and isinstance(entry.get("subjects"), list)
        and all(isinstance(subject, str) for subject in entry["subjects"])
    )


def _read() -> dict[str, Any]:
    try:
        digest, body = _path().read_bytes().split(b"\n", 1)
        found = json.loads(body) if digest == _digest(body) else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _state(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _path() -> Path:
    return uploads.folder() / NAME
