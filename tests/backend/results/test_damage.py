"""Whatever happens to a saved result's files, it is refused or gives the true figures."""

import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.contract.errors import StoreError
from backend.results import files
from backend.results.store import Store
from tests.backend.results.test_store import result, same

Damage = Callable[[random.Random, Path, Path], None]


def _some_bytes(drawn: random.Random, entry: Path, other: Path) -> None:
    file = entry / drawn.choice([files.JSON_NAME, files.ARRAYS_NAME])
    data = bytearray(file.read_bytes())
    for _ in range(drawn.randint(1, 4)):
        data[drawn.randrange(len(data))] ^= drawn.randint(1, 255)
    file.write_bytes(data)


def _a_digit(drawn: random.Random, entry: Path, other: Path) -> None:
    text = (entry / files.JSON_NAME).read_text(encoding="utf-8")
    place = drawn.choice([index for index, character in enumerate(text) if character.isdigit()])
    digit = drawn.choice([digit for digit in "0123456789" if digit != text[place]])
    (entry / files.JSON_NAME).write_text(text[:place] + digit + text[place + 1 :], encoding="utf-8")


def _a_field(drawn: random.Random, entry: Path, other: Path) -> None:
    """One field of the description, at any depth, goes, is renamed, or is of another type."""
    description = json.loads((entry / files.JSON_NAME).read_text(encoding="utf-8"))
    inner: Any = description
    while True:
        name = drawn.choice(list(inner))
        if isinstance(inner[name], dict) and inner[name] and drawn.random() < 0.6:
            inner = inner[name]
            continue
        break
    value = inner.pop(name)
    how = drawn.randrange(3)
    if how == 1:
        inner[name + "x"] = value
    elif how == 2:
        inner[name] = drawn.choice([None, 17, "text", [], {}, [value]])
    (entry / files.JSON_NAME).write_text(json.dumps(description), encoding="utf-8")


def _a_file(drawn: random.Random, entry: Path, other: Path) -> None:
    """A file is missing, cut short, empty, or another entry's."""
    name = drawn.choice([files.JSON_NAME, files.ARRAYS_NAME])
    data, how = (entry / name).read_bytes(), drawn.randrange(4)
    if how == 0:
        (entry / name).unlink()
    elif how == 3:
        shutil.copy(other / name, entry / name)
    else:
        (entry / name).write_bytes(data[: drawn.randrange(len(data)) if how == 1 else 0])


def _moved(drawn: random.Random, entry: Path, other: Path) -> None:
    """The whole entry is another key's."""
    shutil.rmtree(entry)
    shutil.copytree(other, entry)


def test_1000_damages_are_refused_or_give_the_true_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: None
    )  # a thousand of them take a minute on some disks
    true, drawn, reported = result(), random.Random(0), list[str]()
    store = Store(tmp_path / "store", report=reported.append)
    store.put("aa1", true)
    store.put("aa2", result(2.0))
    whole, entry, other = tmp_path / "whole", tmp_path / "store/aa/aa1", tmp_path / "store/aa/aa2"
    shutil.copytree(entry, whole)
    kinds: list[Damage] = [_some_bytes, _a_digit, _a_field, _a_file, _moved]
    refused = 0
    for number in range(1000):
        shutil.rmtree(entry, ignore_errors=True)
        shutil.copytree(whole, entry)
        kinds[number % len(kinds)](drawn, entry, other)
        found = Store(tmp_path / "store").find("aa1")
        refused += found is None
        assert found is None or same(found, true), kinds[number % len(kinds)].__name__
    assert refused > 950


def test_what_is_damaged_is_set_aside_and_only_the_newest_stay(tmp_path: Path) -> None:
    reported: list[str] = []
    store = Store(tmp_path, report=reported.append)
    for number in range(25):
        store.put(f"aa{number}", result())
        (tmp_path / "aa" / f"aa{number}" / files.ARRAYS_NAME).write_bytes(b"")
        assert store.find(f"aa{number}") is None
        assert store.find(f"aa{number}") is None
    assert len(reported) == 25
    assert len(list((tmp_path / "damaged").iterdir())) == 20
    store.put("aa3", result())
    assert store.find("aa3") is not None


def test_a_forged_checksum_over_wrong_fields_is_refused_and_never_another_error(tmp_path: Path) -> None:
    """Fields go, are renamed or retyped, and both checksums are computed anew."""
    whole, entry, drawn = tmp_path / "whole", tmp_path / "entry", random.Random(0)
    files.write(result(), whole, "aa1")
    refused = 0
    for _ in range(500):
        shutil.rmtree(entry, ignore_errors=True)
        shutil.copytree(whole, entry)
        _a_field(drawn, entry, entry)
        description = json.loads((entry / files.JSON_NAME).read_text(encoding="utf-8"))
        if drawn.random() < 0.3:
            data = bytearray((entry / files.ARRAYS_NAME).read_bytes())
            data[drawn.randrange(len(data))] ^= drawn.randint(1, 255)
            (entry / files.ARRAYS_NAME).write_bytes(data)
            description["arrays_sha256"] = hashlib.sha256(data).hexdigest()
        description.pop("sha256", None)
        description["sha256"] = files._checksum(description)
        (entry / files.JSON_NAME).write_text(json.dumps(description), encoding="utf-8")
        try:
            files.read(entry, "aa1")
        except StoreError:
            refused += 1
    assert refused > 250


@pytest.mark.parametrize(
    "change",
    [{"seconds": float("nan")}, {"seconds": True}, {"checks": {"identity_error": [1]}}, {"model": "tiny"}],
)
def test_fields_of_another_kind_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    files.write(result(), tmp_path)
    description = json.loads((tmp_path / files.JSON_NAME).read_text(encoding="utf-8")) | change
    del description["sha256"]
    description["sha256"] = files._checksum(description)
    (tmp_path / files.JSON_NAME).write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(StoreError, match="damaged"):
        files.read(tmp_path)


def test_what_is_set_aside_is_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.results.store.DAMAGED_BYTES", 20_000)
    store = Store(tmp_path)
    for number in range(5):
        store.put(f"aa{number}", result(size=1000))
        (tmp_path / "aa" / f"aa{number}" / files.JSON_NAME).write_bytes(b"{}x")
        assert store.find(f"aa{number}") is None
        past = time.time() - 100 + number
        if number < 4:
            os.utime(tmp_path / "damaged" / f"aa{number}", (past, past))
    assert {entry.name for entry in (tmp_path / "damaged").iterdir()} == {"aa3", "aa4"}


def test_what_the_system_refuses_to_read_is_a_miss_and_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError(24, "Too many open files")

    reported: list[str] = []
    store = Store(tmp_path, report=reported.append)
    store.put("aa1", result())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", refuse)
        assert store.find("aa1") is None
        assert store.find("aa1") is None
    assert len(reported) == 1
    assert "Too many open files" in reported[0]
    assert store.find("aa1") is not None


def test_what_an_older_version_saved_is_not_there_and_not_reported(tmp_path: Path) -> None:
    reported: list[str] = []
    store = Store(tmp_path, report=reported.append)
    store.put("aa1", result())
    file = tmp_path / "aa/aa1" / files.JSON_NAME
    description = json.loads(file.read_text(encoding="utf-8"))
    del description["sha256"]
    file.write_text(json.dumps(description), encoding="utf-8")
    assert store.find("aa1") is None
    assert reported == []
    store.put("aa1", result())
    assert store.find("aa1") is not None


def test_a_store_that_cannot_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    store = Store(tmp_path)
    store.put("aa1", result())
    store.put("aa2", result())
    (tmp_path / "aa/aa2" / files.ARRAYS_NAME).write_bytes(b"")
    for name in ("utime", "rename", "mkdir", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, refuse)
    assert store.find("aa1") is not None
    assert store.find("aa2") is None


def test_an_entry_that_another_process_deletes_meanwhile_is_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    store = Store(tmp_path, report=reported.append)
    store.put("aa1", result())

    def deleted_first(entry: Path, key: str) -> None:
        shutil.rmtree(entry)
        raise StoreError("gone")

    monkeypatch.setattr("backend.results.store.read", deleted_first)
    assert store.find("aa1") is None
    assert reported == []


def test_verify_goes_over_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "store")
    for key in ("aa1", "bb1"):
        store.put(key, result())
    assert main(["verify", str(tmp_path / "store")]) == 0
    assert capsys.readouterr().out == "2 results are whole, 0 damaged.\n"
    file = tmp_path / "store/aa/aa1" / files.JSON_NAME
    file.write_text(
        file.read_text(encoding="utf-8").replace('"predicted": "A"', '"predicted": "B"'), encoding="utf-8"
    )
    assert main(["verify", str(tmp_path / "store")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "aa1 is damaged" in lines[0]
    assert lines[1] == "1 results are whole, 1 damaged."
    assert main(["verify", str(tmp_path / "nowhere")]) == 2
    capsys.readouterr()
    one = tmp_path / "store/bb/bb1"
    assert main(["verify", str(one)]) == 0
    (one / files.ARRAYS_NAME).write_bytes(b"")
    assert main(["verify", str(one)]) == 1
    assert "bb1 is damaged" in capsys.readouterr().out
    (one / files.JSON_NAME).unlink()
    assert main(["verify", str(one)]) == 1
