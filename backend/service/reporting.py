"""The Progress of a job that runs in a host: it goes to the job's messages, and raises where the job is to stop."""

import threading
import time
from collections.abc import Callable

from backend.contract.errors import Cancelled
from backend.service.messages import FromHost, Progressed

PROGRESS_SECONDS = 0.1


class Reporting:
    """The Progress of a run: reports at most ten times a second, each new message at once."""

    def __init__(self, job: str, stop: threading.Event, emit: Callable[[FromHost], None]) -> None:
        self.job = job
        self._stop = stop
        self._emit = emit
        self._said: tuple[str, float] = ("", 0.0)

    def check(self) -> None:
        """Raises Cancelled once the run is to stop."""
        if self._stop.is_set():
            raise Cancelled("Cancelled. What was finished before is kept.")

    def __call__(self, message: str, done: int = 0, total: int = 0) -> None:
        self.check()
        now = time.monotonic()
        if message != self._said[0] or now - self._said[1] >= PROGRESS_SECONDS:
            self._said = (message, now)
            self._emit(Progressed(self.job, message, done, total))
