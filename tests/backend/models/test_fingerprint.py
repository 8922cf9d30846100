"""A fingerprint changes with all that moves the numbers, and with nothing else."""

import json
import os
import shutil
from pathlib import Path

import pytest

from backend.home import home
from backend.models.fingerprint import content_digest, fingerprint, folder_identity


def test_every_part_counts() -> None:
    base = ("weights", "float32", "none", "cpu")
    changed = [
        ("other", "float32", "none", "cpu"),
        ("weights", "bfloat16", "none", "cpu"),
        ("weights", "float32", "8bit", "cpu"),
        ("weights", "float32", "none", "cuda"),
    ]
    digests = {fingerprint(*parts) for parts in [base, *changed]}
    assert len(digests) == 5
    assert fingerprint(*base) in digests
    assert all(len(digest) == 16 for digest in digests)


def test_folder_is_known_by_content_not_by_place(converted: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(converted, copy)
    assert folder_identity(copy) == folder_identity(converted)
    config = copy / "config.json"
    config.write_text(config.read_text().replace("10000.0", "20000.0"))
    assert folder_identity(copy) != folder_identity(converted)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_what_prompts_are_made_with_counts(name: str, converted: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(converted, copy)
    with (copy / name).open("a", encoding="utf-8") as file:
        file.write(" ")
    assert folder_identity(copy) != folder_identity(converted)


def test_digest_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = content_digest(file)
    stat = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_digest(file) == first  # same size and time: the note answers
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert content_digest(file) != first


def test_damaged_note_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = content_digest(file)
    for note in (home() / "fingerprints").iterdir():
        note.write_text("{")
    assert content_digest(file) == first


@pytest.mark.parametrize("digest", [None, "", "ab", 17, "G" * 64])
def test_a_note_without_a_digest_is_made_again(tmp_path: Path, digest: object) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = content_digest(file)
    (note,) = (home() / "fingerprints").iterdir()
    kept = json.loads(note.read_text(encoding="utf-8"))
    note.write_text(json.dumps({**kept, "sha256": digest}), encoding="utf-8")
    assert content_digest(file) == first


def test_a_home_that_cannot_be_written_costs_only_the_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    file = tmp_path / "file"
    file.write_bytes(b"one")
    monkeypatch.setattr("backend.models.fingerprint.write_whole", refuse)
    assert content_digest(file) == content_digest(file)
