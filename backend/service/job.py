"""A job: one ticket, the waiters for its result, and its state."""

import threading
import time
import uuid
from dataclasses import dataclass, field, replace

from backend.contract.cards import JobStatus, State
from backend.contract.errors import LetterheadsError
from backend.contract.result import Result
from backend.service.ticket import Ticket

# A page asks several times a second, one in a hidden tab once a second or less, and a laptop may sleep. Whoever has
# not asked for this long is away: a job for which all are away ends, a queued one sooner.
AWAY_SECONDS = 600.0
AWAY_QUEUED_SECONDS = 120.0


@dataclass(eq=False)
class Waiter:
    """One request for a job; `looked` is the time when its page last asked for the status."""

    job: "Job"
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    looked: float = field(default_factory=time.monotonic)
    left: bool = False

    def look(self, seconds: float = 0.0) -> None:
        """It asks now, and will do so again at the latest after `seconds`."""
        self.looked = max(self.looked, time.monotonic() + seconds)


@dataclass(eq=False)
class Job:
    """Changed by `Jobs` alone, under its lock.

    `partial` is what the analysis has shown so far; a job that goes on from a stopped one begins with that one's. The
    result is not held here: it is in the store under `key`, unless its analysis is not stored (`result`).

    Attributes:
        caller: who asked first; `number` counts jobs in the order in which they were asked for.
        stopping: the time of the request to stop, 0.0 without one; `parked`: it will be started again.
        deaths: how often the host's process ended while it computed this.
    """

    ticket: Ticket
    caller: str = ""
    number: int = 0
    partial: Result | None = None
    state: State = "queued"
    message: str = ""
    note: str = ""
    done: int = 0
    total: int = 0
    key: str = ""
    result: Result | None = None
    error: LetterheadsError | None = None
    stopping: float = 0.0
    parked: bool = False
    deaths: int = 0
    waiters: list[Waiter] = field(default_factory=list)
    created: float = field(default_factory=time.monotonic)
    queued: float = field(default_factory=time.monotonic)
    ended: float | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    _stage: tuple[float, int] = (0.0, 0)

    def join(self) -> Waiter:
        """One more waits for it."""
        waiter = Waiter(self)
        self.waiters.append(waiter)
        return waiter

    @property
    def ending(self) -> bool:
        """Whether nobody can join it any more."""
        return self.finished.is_set() or bool(self.stopping and not self.parked)

    @property
    def unwanted(self) -> bool:
        """Whether all who waited for it have left or are away."""
        away = AWAY_QUEUED_SECONDS if self.state == "queued" and not self.parked else AWAY_SECONDS
        oldest = time.monotonic() - away
        return all(waiter.left or waiter.looked < oldest for waiter in self.waiters)

    def progress(self, message: str, done: int = 0, total: int = 0) -> None:
        """How far it is."""
        if message != self.message or done < self.done:
            self._stage = (time.monotonic(), done)
        self.message, self.done, self.total = message, done, total

    def requeue(self, message: str) -> None:
        """It waits again."""
        self.state, self.stopping = "queued", 0.0
        self.queued = time.monotonic()
        self.progress(message)

    def finish(self, state: State, error: LetterheadsError | None = None) -> None:
        """The last thing that happens to a job."""
        self.error, self.state = error, state
        if state == "done":  # not earlier: whoever looks in between should find the one or the other
            self.partial = None
        self.ended = time.monotonic()
        self.finished.set()

    def status(self, waiter: Waiter) -> JobStatus:
        """The status now. A waiter that left sees it as cancelled while others still wait."""
        status = JobStatus(
            id=waiter.id,
            state=self.state,
            done=self.done,
            total=self.total,
            message=self.message,
            error="" if self.error is None else str(self.error),
            seconds=(self.ended or time.monotonic()) - self.created,
            left=self._left(),
            note=self.note,
        )
        if waiter.left and not status.finished and not self.unwanted:
            return replace(status, state="cancelled")
        return status

    def _left(self) -> float | None:
        """Seconds that the rest of this stage takes at the speed it has had so far."""
        begun, first = self._stage
        steps = self.done - first
        if steps <= 0 or self.finished.is_set():
            return None
        return (time.monotonic() - begun) * max(0, self.total - self.done) / steps
