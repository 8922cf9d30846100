"""A job: one request on its way through the worker, as its thread writes it and as others read it."""

import threading
import time
from dataclasses import dataclass, field, replace

from backend.analyses import Task
from backend.contract.cards import JobStatus, State
from backend.contract.errors import Cancelled, LetterheadsError
from backend.contract.result import Result

# A page looks several times a second, one in a hidden tab of a browser once a second or less. Whoever has not looked
# for this long (a tab that was closed or loaded anew) does not keep a job from stopping.
LOOKING_SECONDS = 15.0


@dataclass(eq=False)
class Waiter:
    """Somebody who asked for a job; `looked` is when it last wanted to know how the job stands."""

    id: str
    job: "Job"
    looked: float = field(default_factory=time.monotonic)
    left: bool = False

    def status(self) -> JobStatus:
        """How the job stands; for one who has left it to the others it is cancelled."""
        self.looked = time.monotonic()
        status = self.job.status(self.id)
        if self.left and not status.finished and not self.job.unwanted:
            return replace(status, state="cancelled")
        return status


@dataclass(eq=False)
class Job:
    """Written by the worker's thread only, except `waiters`, to which its callers come and from which they leave.

    `partial` is what the analysis has shown so far; a job that goes on from a stopped one begins with that one's. The
    result is not held: it is in the store.
    """

    task: Task
    partial: Result | None = None
    state: State = "queued"
    message: str = "Waiting for its turn"
    done: int = 0
    total: int = 0
    error: LetterheadsError | None = None
    waiters: list[Waiter] = field(default_factory=list)
    created: float = field(default_factory=time.monotonic)
    ended: float | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    _stage: tuple[float, int] = (0.0, 0)

    def join(self, identity: str) -> Waiter:
        """One more waits for it, who is known by this id."""
        waiter = Waiter(identity, self)
        self.waiters.append(waiter)
        return waiter

    @property
    def unwanted(self) -> bool:
        """Whether somebody has left it and nobody else still looks."""
        oldest = time.monotonic() - LOOKING_SECONDS
        return any(waiter.left for waiter in self.waiters) and all(
            waiter.left or waiter.looked < oldest for waiter in self.waiters
        )

    def progress(self, message: str, done: int = 0, total: int = 0) -> None:
        """A Progress for whatever the job calls. Raises Cancelled once nobody wants it any more."""
        if self.unwanted:
            raise Cancelled("Cancelled. What was finished before is kept.")
        if message != self.message or done < self.done:
            self._stage = (time.monotonic(), done)
        self.message, self.done, self.total = message, done, total

    def finish(self, state: State, error: LetterheadsError | None = None) -> None:
        """The last thing that happens to a job."""
        # As it was raised an error holds on to the frames it went through, and so to activations and weights.
        self.error = None if error is None else type(error)(str(error))
        self.state = state
        if state == "done":  # not earlier: whoever looks in between should find the one or the other
            self.partial = None
        self.ended = time.monotonic()
        self.finished.set()

    def status(self, identity: str) -> JobStatus:
        """How it stands now, for the waiter with this id."""
        return JobStatus(
            id=identity,
            state=self.state,
            done=self.done,
            total=self.total,
            message=self.message,
            error="" if self.error is None else str(self.error),
            seconds=(self.ended or time.monotonic()) - self.created,
            left=self._left(),
        )

    def _left(self) -> float | None:
        """Seconds that the rest of this stage takes at the speed it has had so far."""
        begun, first = self._stage
        steps = self.done - first
        if steps <= 0 or self.finished.is_set():
            return None
        return (time.monotonic() - begun) * max(0, self.total - self.done) / steps
