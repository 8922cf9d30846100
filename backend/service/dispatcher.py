"""Sends queued jobs to the host, follows their messages, and queues them again when the host dies. No torch.

The host has at most one long job and one short job at a time, both of one model: the short one passes the long one.
"""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from itertools import count
from typing import Any

from backend.contract.cards import LoadedModel
from backend.contract.errors import Cancelled, RequestError, error_named
from backend.contract.model import ModelSpec
from backend.results.store import Store
from backend.service.changes import applied, rebuilt
from backend.service.estimates import Estimates
from backend.service.host import Host
from backend.service.job import Job
from backend.service.messages import (
    Answer,
    Ask,
    Cancel,
    Died,
    Done,
    Failed,
    FromHost,
    Loaded,
    Partial,
    Progressed,
    Run,
)
from backend.service.run_errors import died_too_often
from backend.service.schedule import Turn, in_order, waiting_text

log = logging.getLogger(__name__)
MOST_WAITING = 16
MOST_DEATHS = 3
OBEY_SECONDS = 10.0
TICK_SECONDS = 0.5


class Dispatcher:
    """`lock` guards all jobs, here and for who asks about them."""

    def __init__(self, store: Store, host: Host) -> None:
        self.lock = threading.RLock()
        self.estimates = Estimates()
        self.loaded: LoadedModel | None = None
        self.returned: Mapping[str, int] = {}
        self._store = store
        self._host = host
        self._queue: list[Job] = []
        self._running: dict[str, Job] = {}  # by the name of the run
        self._numbers = count(1)
        self._turn = Turn()
        self._asked: dict[int, Future[Any]] = {}
        self._ticking = False
        host.listen(self._hear)

    def add(self, job: Job) -> None:
        """Queue it. Raises RequestError where its caller has too many waiting."""
        waiting = sum(other.caller == job.caller for other in self._queue)
        if waiting >= MOST_WAITING:
            raise RequestError(
                f"You have {waiting} analyses waiting already, the most that one may have. "
                "Wait until some are done, or cancel some."
            )
        self._queue.append(job)
        self._dispatch()
        if not self._ticking:
            self._ticking = True
            threading.Thread(target=self._tick, name="letterheads-jobs", daemon=True).start()

    def place(self, job: Job) -> tuple[int, str]:
        """Of a queued job: its place, counted from 1, and what runs before it."""
        return waiting_text(job, in_order(self._queue, self._turn), [*self._running.values()])

    def look_after(self) -> None:
        """End jobs that nobody waits for, and start jobs that can run."""
        for job in [*self._queue]:
            if job.unwanted:
                self._queue.remove(job)
                job.finish("cancelled", cancelled())
        for job in self._running.values():
            if job.unwanted and not job.stopping:
                self._stop(job)
            elif job.stopping and time.monotonic() - job.stopping > OBEY_SECONDS:
                self._host.kill(f"it did not stop within {OBEY_SECONDS:.0f} s")
        self._dispatch()

    def ask(self, what: str, spec: ModelSpec) -> Future[Any]:
        """Ask the host about a model. Where the host dies meanwhile the answer is cancelled."""
        number, answer = next(self._numbers), Future[Any]()
        with self.lock:
            self._asked[number] = answer
        self._host.send(Ask(number, what, spec.to_json()))
        return answer

    def close(self) -> None:
        """End the host."""
        self._host.close()

    def _dispatch(self) -> None:
        """Send the host the jobs that it can run now."""
        running = [*self._running.values()]
        order = in_order(self._queue, self._turn)
        if any(job.stopping for job in running):
            return  # wait until it has stopped
        long = next((job for job in running if not job.ticket.short), None)
        late = next((job for job in order if self._turn.overdue(job)), None)
        if running and late is not None:
            if long is None:
                return  # the model is changed when the short one is done
            if late.ticket.short and self._parkable(long):
                long.parked = True
                self._stop(long)
                return
        if not running and order:
            self._turn.begin(order[0].ticket.model)
        for short in (True, False):
            if any(job.ticket.short == short for job in self._running.values()):
                continue
            fits = (
                job for job in order if job.ticket.short == short and job.ticket.model == self._turn.model
            )
            if (job := next(fits, None)) is not None:
                self._start(job)

    def _start(self, job: Job) -> None:
        self._queue.remove(job)
        self._turn.serve(job)
        job.state, job.parked = "running", False
        job.progress("Starting")
        run, task = f"{job.number}.{next(self._numbers)}", job.ticket.task
        self._running[run] = job
        self._host.send(
            Run(
                run,
                task.request.to_json(),
                tuple(question.to_json() for question in task.questions),
                tuple(tuple(shot.to_json() for shot in shots) for shots in task.shots),
                job.ticket.short,
            )
        )

    def _parkable(self, job: Job) -> bool:
        """Whether it has begun to compute, and would go on from what it has saved."""
        loaded = self.loaded is not None and self.loaded.fingerprint == job.ticket.resolved.fingerprint
        return loaded and bool(job.ticket.key) and bool(self._store.checkpoint(job.ticket.key).load())

    def _stop(self, job: Job) -> None:
        job.stopping = time.monotonic()
        for run, other in self._running.items():
            if other is job:
                self._host.send(Cancel(run))

    def _tick(self) -> None:
        """Looks after leases and turns while there are jobs."""
        while True:
            time.sleep(TICK_SECONDS)
            with self.lock:
                self.look_after()
                if not self._queue and not self._running:
                    self._ticking = False
                    return

    def _hear(self, message: FromHost) -> None:
        with self.lock:
            match message:
                case Progressed(run, text, done, total):
                    if job := self._running.get(run):
                        job.progress(text, done, total)
                case Partial(job=run):
                    if job := self._running.get(run):
                        job.partial = applied(job.partial, message)
                case Loaded(model, returned):
                    before, self.loaded = self.loaded, None if model is None else _loaded(model)
                    self.returned = returned
                    if self.loaded != before:  # a turn begins when it can be used
                        self._turn.began = time.monotonic()
                case Answer(number, value, code, text):
                    if answer := self._asked.pop(number, None):
                        _settle(answer, value, code, text)
                case Done() | Failed():
                    if job := self._running.pop(message.job, None):
                        self._end(job, message)
                    self._dispatch()
                case Died(why):
                    self._host_died(why)
                    self._dispatch()

    def _end(self, job: Job, message: Done | Failed) -> None:
        if isinstance(message, Done):
            job.key = message.key
            job.note = message.note or job.note
            if message.description is not None:
                job.result = rebuilt(message.description, message.full, message.seconds)
                self.estimates.keep(message.key, job.result)
            job.finish("done")
        elif message.code == Cancelled.__name__:
            self._stopped(job)
        else:
            job.finish("failed", error_named(message.code, message.message))

    def _stopped(self, job: Job) -> None:
        """A job that was to stop has stopped: a parked job that somebody still waits for is queued again."""
        if job.parked and not job.unwanted:
            job.requeue("Set aside for a short job of another model; it goes on after that")
            self._queue.append(job)
        else:
            job.finish("cancelled", cancelled())

    def _host_died(self, why: str) -> None:
        """Queue again what the ended process ran. A job that ended it too often fails."""
        running, self._running = [*self._running.values()], {}
        self.loaded, self.returned = None, {}
        for answer in self._asked.values():
            answer.cancel()
        self._asked = {}
        stopping = [job for job in running if job.stopping]
        # Of two running jobs the short one was computing: a long job lets a short one pass.
        blamed = None if stopping else next((job for job in running if job.ticket.short), None)
        if not stopping and blamed is None:
            blamed = next(iter(running), None)
        for job in running:
            job.deaths += job is blamed
            if job in stopping:
                self._stopped(job)
            elif job.deaths >= MOST_DEATHS:
                job.finish("failed", died_too_often(job.ticket.resolved, why, job.deaths))
            else:
                job.note = f"The model's process ended ({why}) and was started again."
                job.requeue("Starting again")
                self._queue.insert(0, job)
        log.warning("The model's process ended: %s. Jobs that it ran: %d.", why, len(running))


def cancelled() -> Cancelled:
    """The error of a cancelled job."""
    return Cancelled("Cancelled. What was finished before is kept.")


def _loaded(model: Mapping[str, Any]) -> LoadedModel:
    checks = {name: (value, limit) for name, (value, limit) in model["checks"].items()}
    return LoadedModel(**{**model, "checks": checks})


def _settle(answer: Future[Any], value: Any, code: str, message: str) -> None:
    if code:
        answer.set_exception(error_named(code, message))
    else:
        answer.set_result(value)
