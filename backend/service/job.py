"""A job: one request on its way through the worker, as its thread writes it and as others read it."""

import threading
import time
from dataclasses import dataclass, field

from backend.analyses import Task
from backend.errors import Cancelled, LetterheadsError
from backend.results.result import Result
from backend.service.client import JobStatus, State


@dataclass
class Job:
    """Written by the worker's thread only, except `cancel`, which anyone may set."""

    id: str
    task: Task
    state: State = "queued"
    message: str = "Waiting for its turn"
    done: int = 0
    total: int = 0
    result: Result | None = None
    error: LetterheadsError | None = None
    created: float = field(default_factory=time.monotonic)
    ended: float | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    def progress(self, message: str, done: int = 0, total: int = 0) -> None:
        """A Progress for whatever the job calls. Raises Cancelled once somebody asked for it."""
        if self.cancel.is_set():
            raise Cancelled("Cancelled. What was finished before is kept.")
        self.message, self.done, self.total = message, done, total

    def finish(
        self, state: State, *, result: Result | None = None, error: LetterheadsError | None = None
    ) -> None:
        """The last thing that happens to a job."""
        self.result, self.error, self.state = result, error, state
        self.ended = time.monotonic()
        self.finished.set()

    def status(self) -> JobStatus:
        """How it stands now."""
        return JobStatus(
            id=self.id,
            state=self.state,
            done=self.done,
            total=self.total,
            message=self.message,
            error="" if self.error is None else str(self.error),
            seconds=(self.ended or time.monotonic()) - self.created,
        )
