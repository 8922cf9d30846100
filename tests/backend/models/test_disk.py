"""Room is checked, a full disk is told, digests are right."""

import errno
import hashlib
from pathlib import Path

import pytest

from backend.contract.errors import Cancelled, ResourceError
from backend.models.disk import full_disk_reported, need_disk_space, read_ahead, sha256_of


def test_need_room_passes_for_little_and_names_the_figures_for_too_much(tmp_path: Path) -> None:
    need_disk_space(tmp_path / "not" / "there" / "yet", 1, "A model")
    with pytest.raises(ResourceError, match=r"A model needs 1000000\.0 GB .* GB are free"):
        need_disk_space(tmp_path, 10**15, "A model")


def test_full_disk_becomes_a_resource_error_and_other_errors_stay(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="is full"), full_disk_reported(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), full_disk_reported(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_a_really_full_disk(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(ResourceError), full_disk_reported(tmp_path), full.open("wb") as file:
        file.write(b"x" * 100_000)


def test_sha256_of_reports_and_can_be_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc" * 1000)
    calls: list[tuple[str, int, int]] = []
    digest = sha256_of(
        file, lambda message, done=0, total=0: calls.append((message, done, total)), "Checking it"
    )
    assert digest == hashlib.sha256(b"abc" * 1000).hexdigest()
    assert calls == [("Checking it", 3000, 3000)]


def test_read_ahead_reports_and_can_be_cancelled(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    read_ahead([file], lambda message, done=0, total=0: None, "Loading")

    def stop(message: str, done: int = 0, total: int = 0) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        read_ahead([file], stop, "Loading")
