"""The process of a host: `python -m backend.service.host_process SOCKET RESULTS`, started by process_host.py.

It ends when the other side of the socket does, whatever it is at.
"""

import logging
import os
import queue
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

from backend.service.frames import encode, receive
from backend.service.messages import Beat, FromHost, Message

BEAT_SECONDS = 2.0
# When memory runs out, the system should end this process before the page's.
OOM_SCORE = 500
log = logging.getLogger(__name__)


class _Link:
    """What all threads write to."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def say(self, message: FromHost) -> None:
        """One frame after the other."""
        frame = encode(message)
        try:
            with self._lock:
                self._stream.sendall(frame)
        except OSError:
            _end(0)

    def beat(self) -> None:
        """For ever."""
        while True:
            self.say(Beat())
            time.sleep(BEAT_SECONDS)


def main(number: str, results: str) -> None:
    """Reads on this thread, so that the end is noticed while others import torch or compute."""
    _first_to_go()
    stream = socket.socket(fileno=int(number))
    link = _Link(stream)
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=link.beat, name="beat", daemon=True).start()
    threading.Thread(target=_serve, args=(link, messages, Path(results)), name="serve", daemon=True).start()
    with suppress(OSError):
        while (message := receive(stream)) is not None:
            messages.put(message)
    _end(0)


def _serve(link: _Link, messages: "queue.SimpleQueue[Message]", results: Path) -> None:
    try:
        # Seconds: torch and transformers come with it.
        from backend.results.store import Store
        from backend.service.key_lock import drop_leftovers
        from backend.service.runner import Runner

        drop_leftovers()
        runner = Runner(Store(results, report=log.warning), link.say)
        while True:
            runner.take(messages.get())  # type: ignore[arg-type]
    except BaseException:
        traceback.print_exc()
        _end(1)


def _end(status: int) -> None:
    """At once: torch's threads are in native code, and would be in the way of an orderly end."""
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(status)


def _first_to_go() -> None:
    with suppress(OSError):  # not Linux, or not allowed
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
