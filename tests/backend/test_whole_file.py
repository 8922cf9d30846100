"""Files are replaced whole, several together, or not at all."""

import errno
import os
from pathlib import Path

import pytest

from backend.whole_file import write_together, write_whole


def test_a_file_is_written_and_replaced_in_folders_that_are_made(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b"
    write_whole(file, b"one")
    write_whole(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_is_full_at_the_second_file_changes_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write_together({first: b"old", second: b"old"})
    flushed: list[int] = []

    def full_at_the_second(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == 2:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_together({first: b"new", second: b"new"})
    assert (first.read_bytes(), second.read_bytes()) == (b"old", b"old")
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}
