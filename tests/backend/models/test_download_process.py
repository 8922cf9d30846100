"""A download's subprocess returns its output, and is killed together with its own subprocesses."""

import os
import sys
import time
from pathlib import Path

import pytest

from backend.contract.errors import Cancelled
from backend.models.download_process import bytes_under, run_download


def test_returns_status_output_and_environment() -> None:
    code = "import os, sys; print(os.environ['WORD']); print('bad', file=sys.stderr); sys.exit(3)"
    ended = run_download([sys.executable, "-c", code], {"WORD": "hello"}, lambda: None)
    assert (ended.status, ended.output.strip(), ended.errors.strip()) == (3, "hello", "bad")


def test_cancel_kills_the_whole_group(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    code = (
        "import subprocess, sys, os, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(note)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(note)!r} + '.new', {str(note)!r})\n"
        "time.sleep(600)\n"
    )

    def tick() -> None:
        if note.exists():
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        run_download([sys.executable, "-c", code], {}, tick)
    # Long before either would have ended by itself.
    given_up = time.monotonic() + 120
    for pid in map(int, note.read_text().split()):
        while _runs(pid):
            assert time.monotonic() < given_up
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    # Orphans wait for init to reap them; a zombie runs no more.
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_bytes_under_counts_nested_files_and_nothing_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"12345")
    (tmp_path / "d").write_bytes(b"1")
    assert bytes_under(tmp_path) == 6
    assert bytes_under(tmp_path / "none") == 0
