"""A download runs in a subprocess, so that it can be cancelled at any moment."""

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
    """A finished subprocess: its exit status, and the last 20 kB of its stdout and stderr."""

    status: int
    output: str
    errors: str


def run_download(command: Sequence[str], environment: Mapping[str, str], tick: Callable[[], None]) -> Ended:
    """Run `command` in a subprocess and wait for its end. `environment` is added to this process' environment.

    `tick` is called five times a second. If it raises, the subprocess is killed and the exception goes on.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, **environment},
            start_new_session=True,  # its own group: killed with its subprocesses, and Ctrl-C does not reach it
        )
        try:
            while True:
                try:
                    status = process.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return Ended(status, _tail(output), _tail(errors))


def _tail(file: IO[bytes]) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - TAIL_BYTES))
    return file.read().decode("utf-8", "replace")


def bytes_under(folder: Path) -> int:
    """Bytes of all files under a folder, 0 if there is no folder. Another process may be writing to it."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue  # moved or removed since it was listed
    return total
