"""From a request to a saved result: found, joined to an equal job, or queued. Plain threads, no torch."""

from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from typing import Any

from backend.contract.cards import JobStatus, LoadedModel
from backend.contract.errors import Cancelled, RequestError, shown
from backend.contract.model import ModelSpec
from backend.contract.request import Request
from backend.contract.result import Result
from backend.results.store import Store
from backend.service.dispatcher import Dispatcher
from backend.service.host import Host
from backend.service.job import Job, Waiter
from backend.service.ticket import Ticket, ticket_for

KEPT_JOBS = 256


class Jobs:
    """The operations on jobs. Any thread may call them."""

    def __init__(self, store: Store, host: Host) -> None:
        self._store = store
        self._dispatcher = Dispatcher(store, host)
        self._lock = self._dispatcher.lock
        self._latest: dict[str, Job] = {}
        self._waiters: dict[str, Waiter] = {}
        self._numbers = count(1)

    @property
    def loaded(self) -> LoadedModel | None:
        """The resident model."""
        return self._dispatcher.loaded

    def find(self, request: Request) -> Result | None:
        """The saved result of a request, without touching the model. Raises what `submit` raises."""
        return self._saved(ticket_for(request))

    def submit(self, request: Request, caller: str = "") -> Waiter:
        """Queue a request, or join those who wait for it already.

        Raises RequestError, QuestionError, ModelError: all that is known without loading the model.
        """
        ticket = ticket_for(request)
        with self._lock:
            job = self._latest.get(ticket.job_key)
            if job is None or job.ending or job.unwanted:
                fresh = Job(ticket, caller, next(self._numbers), partial=None if job is None else job.partial)
                waiter = fresh.join()
                self._dispatcher.add(fresh)
                self._latest[ticket.job_key] = fresh
            else:
                waiter = job.join()
            self._waiters[waiter.id] = waiter
            self._forget_old()
        return waiter

    def status(self, identity: str) -> JobStatus:
        """How a job stands, and where in the queue."""
        with self._lock:
            waiter = self.waiter(identity)
            waiter.look()
            status = waiter.job.status(waiter)
            if status.state != "queued":
                return status
            place, text = self._dispatcher.place(waiter.job)
            return replace(
                status, place=place, message=f"{status.message}. {text}" if status.message else text
            )

    def wait(self, identity: str, seconds: float) -> JobStatus:
        """The status once the job is finished, or after `seconds`, whichever comes first."""
        waiter = self.waiter(identity)
        waiter.look(seconds)
        waiter.job.finished.wait(seconds)
        return self.status(identity)

    def waiter(self, identity: str) -> Waiter:
        """The waiter with this id and its job. Raises RequestError for an id that is not known (any more)."""
        with self._lock:
            if identity not in self._waiters:
                raise RequestError(
                    f"There is no job {shown(identity)} (any more). Ask for the analysis again."
                )
            return self._waiters[identity]

    def leave(self, identity: str) -> None:
        """The waiter leaves. The job ends if nobody else waits for it."""
        with self._lock:
            self.waiter(identity).left = True
            self._dispatcher.look_after()

    def partial(self, identity: str) -> Result | None:
        """What is known of the result so far."""
        job = self.waiter(identity).job
        return self._of(job) if job.state == "done" else job.partial

    def result(self, identity: str) -> Result:
        """That of a job that is done. Raises what the job raised, or RequestError where it is not done."""
        waiter = self.waiter(identity)
        job = waiter.job
        if job.error is not None:
            raise type(job.error)(
                str(job.error)
            )  # a fresh one: raised twice it would collect both tracebacks
        if not job.finished.is_set():
            if waiter.left:
                raise Cancelled("Cancelled. It goes on for somebody else who waits for it.")
            raise RequestError("This job is not done yet. Wait for it.")
        if (found := self._of(job)) is None:
            raise RequestError("The result of this job is no longer saved. Ask for the analysis again.")
        return found

    def returned(self, device: str) -> int:
        """Bytes on a device that unloading the resident model frees."""
        return self._dispatcher.returned.get(device, 0)

    def ask(self, what: str, spec: ModelSpec) -> Future[Any]:
        """Ask the host about a model, see `Ask`. Where the host dies meanwhile the answer is cancelled."""
        return self._dispatcher.ask(what, spec)

    def close(self) -> None:
        """End the host."""
        self._dispatcher.close()

    def _saved(self, ticket: Ticket) -> Result | None:
        if not ticket.key:
            return None
        if ticket.analysis.stored:
            return self._store.find(ticket.key)
        return self._dispatcher.estimates.find(ticket.key)

    def _of(self, job: Job) -> Result | None:
        """The result of a job that is done, where it is still saved."""
        return job.result or self._store.find(job.key)

    def _forget_old(self) -> None:
        for identity, waiter in list(self._waiters.items()):
            if len(self._waiters) <= KEPT_JOBS:
                break
            if waiter.job.finished.is_set():
                del self._waiters[identity]
        kept = {waiter.job for waiter in self._waiters.values()}
        self._latest = {key: job for key, job in self._latest.items() if job in kept}
