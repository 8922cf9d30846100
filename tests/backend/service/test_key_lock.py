"""One at a time computes a result, also where two processes share a home."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backend.contract.errors import Cancelled
from backend.contract.request import Request
from backend.home import home
from backend.service import key_lock as module
from backend.service.key_lock import drop_leftovers, key_lock
from tests.backend.service.serving import Loader, begun, serving, wait_until

ROOT = Path(__file__).parents[3]
HOLDING = """
import sys
from backend.contract.progress import silent
from backend.service.key_lock import key_lock
with key_lock("abc", silent):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_waited_for_with_a_message_and_cancel() -> None:
    said: list[str] = []

    def progress(message: str, done: int = 0, total: int = 0) -> None:
        said.append(message)
        if len(said) == 2:
            raise Cancelled("stopped")

    command = [sys.executable, "-c", HOLDING]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Cancelled), key_lock("abc", progress):
            pass
        assert said == ["Waiting for another process that computes the same"] * 2
        with key_lock("abd", progress) as waited:
            assert not waited
        thread = threading.Timer(0.5, other.stdin.close)
        thread.start()
        with key_lock("abc", lambda *_: None) as waited:
            assert waited
        thread.join()


def test_locks_of_long_ago_are_taken_away_unless_somebody_holds_them() -> None:
    for key in ("old", "held", "new"):
        with key_lock(key, lambda *_: None):
            pass
    folder = home() / "locks"
    for key in ("old", "held"):
        os.utime(folder / f"{key}.lock", (0, 0))
    with key_lock("held", lambda *_: None):
        os.utime(folder / "held.lock", (0, 0))
        drop_leftovers()
    assert not (folder / "old.lock").exists()
    assert (folder / "new.lock").exists()


def test_a_home_that_cannot_be_written_is_no_reason_not_to_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "home", lambda: Path("/proc/nowhere"))
    with key_lock("abc", lambda *_: None) as waited:
        assert not waited


def test_of_two_hosts_with_one_home_one_computes_and_the_other_waits(
    tmp_path: Path, endless: Request
) -> None:
    one, other = (serving(tmp_path / "results", Loader()) for _ in range(2))
    first = begun(one, endless, 1)
    second = other.submit(endless)
    wait_until(lambda: "another process" in other.status(second).message)
    one.cancel(first)
    assert one.wait(first, 120).finished
    wait_until(lambda: other.status(second).message == "Going through the questions")
    other.cancel(second)
    assert other.wait(second, 120).finished
