"""A download in a process of its own, so that it can be stopped at any moment."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.2
TAIL_BYTES = 20_000


@dataclass(frozen=True)
class Ended:
    """How a child process ended, and the end of what it wrote."""

    status: int
    output: str
    errors: str


def run_child(command: Sequence[str], environment: Mapping[str, str], tick: Callable[[], None]) -> Ended:
    """Run `command` to its end, calling `tick` five times a second. Where `tick` raises, the child is killed.

    `environment` is added to ours.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **environment},
            start_new_session=True,  # a group of its own: killed with its children, deaf to our Ctrl-C
        )
        try:
            while True:
                try:
                    status = child.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        return Ended(status, _tail(output), _tail(errors))


def _tail(file: IO[bytes]) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - TAIL_BYTES))
    return file.read().decode("utf-8", "replace")


def bytes_under(folder: Path) -> int:
    """Bytes of all files under a folder that another process may be writing to; 0 where there is none."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue  # moved or removed since it was listed
    return total
