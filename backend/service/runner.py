"""Runs jobs on the one resident model: each on a thread of its own, one of them computing at a time."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
import transformers

from backend import __version__
from backend.analyses import Findings, Task, analysis_named
from backend.analyses.prompt_notes import about_questions
from backend.contract.errors import (
    LetterheadsError,
    ModelError,
    ResourceError,
    StoreError,
    shown,
)
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress, giving_way
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Result
from backend.engine.instrument import Instrument
from backend.models import memory_need, prepare, resolve
from backend.models.memory import is_out_of_memory, return_freed, trim_heap
from backend.models.shape import known_shape
from backend.results.store import Store
from backend.service.baton import Baton
from backend.service.changes import changed, description
from backend.service.key_lock import key_lock
from backend.service.keys import store_key
from backend.service.messages import (
    Answer,
    Ask,
    Cancel,
    Done,
    Failed,
    FromHost,
    Loaded,
    Run,
    ToHost,
)
from backend.service.reporting import Reporting
from backend.service.resident import Prepare, Resident, described
from backend.service.run_errors import out_of_memory, unexpected

log = logging.getLogger(__name__)
DEVICES = ("cpu", "cuda", "mps", "offload")


class Runner:
    """Takes messages, and answers by `emit`, from any thread."""

    def __init__(self, store: Store, emit: Callable[[FromHost], None], prepare: Prepare = prepare) -> None:
        self._store = store
        self._emit = emit
        self._resident = Resident(prepare)
        self._baton = Baton()
        self._stops: dict[str, threading.Event] = {}
        self._users: set[str] = set()

    def take(self, message: ToHost) -> None:
        """Returns at once."""
        match message:
            case Run():
                stop = self._stops.setdefault(message.job, threading.Event())
                threading.Thread(target=self._run, args=(message, stop), name="run", daemon=True).start()
            case Cancel(job):
                event = self._stops.get(job)  # in one step: the run may end meanwhile
                if event is not None:
                    event.set()
            case Ask():
                threading.Thread(target=self._answer, args=(message,), name="ask", daemon=True).start()

    def _run(self, run: Run, stop: threading.Event) -> None:
        short_of = None
        end: Done | Failed
        failed: LetterheadsError
        try:
            end = self._compute(run, Reporting(run.job, stop, self._emit))
        except LetterheadsError as error:
            end = Failed(run.job, type(error).__name__, str(error))
        except BaseException as error:  # whatever went wrong, the host goes on and the user gets a message
            if is_out_of_memory(error) and (short_of := self._resident.instrument):
                failed = out_of_memory(short_of.resolved, Request.from_json(run.request))
            else:
                log.exception("A job failed: %s", str(run.request)[:500])
                failed = unexpected(error)
            end = Failed(run.job, type(failed).__name__, str(failed))
        if short_of:  # not earlier: the error's traceback refers to the tensors
            return_freed(short_of.resolved.device)
        del self._stops[run.job]
        try:
            self._report_loaded()
        finally:  # whoever waits for the end gets it
            self._emit_end(end)
        trim_heap()  # between jobs, so that a long row of them takes no more than the largest

    def _emit_end(self, end: Done | Failed) -> None:
        """A result that cannot be sent is a failure: without an end the job would go on for ever."""
        try:
            self._emit(end)
        except (TypeError, ValueError) as error:
            log.exception("A result could not be sent")
            failed = unexpected(error)
            self._emit(Failed(end.job, type(failed).__name__, str(failed)))

    def _compute(self, run: Run, progress: Reporting) -> Done:
        """Find the result in the store, or compute it and save it there."""
        task = _task(run)
        analysis, spec = analysis_named(run.request["analysis"]), task.request.model
        progress("Looking for a saved result")
        fingerprint = resolve(spec, progress).fingerprint
        with ExitStack() as until_done:

            def saved_as(fingerprint: str) -> tuple[str, bool]:
                """The key, locked until the run ends, and whether a result is saved under it."""
                key = store_key(task, fingerprint)
                if not analysis.stored:
                    return key, False
                until_done.enter_context(key_lock(key, progress))
                return key, self._store.find(key) is not None

            key, found = saved_as(fingerprint) if fingerprint else ("", False)
            if found:
                return Done(run.job, key)
            progress("Waiting for the job before it")
            let_pass = until_done.enter_context(self._baton.turn(short=run.short, check=progress.check))
            instrument = self._ready(spec, progress)
            if not key:  # now that it has been fetched
                key, found = saved_as(instrument.resolved.fingerprint)
                if found:
                    return Done(run.job, key)
            until_done.enter_context(giving_way(let_pass))
            until_done.enter_context(self._using(run.job))
            result = self._analysed(task, instrument, key, progress)
            note = self._save(key, result) if analysis.stored else ""
            if analysis.stored and not note:
                return Done(run.job, key)
        values = {name: array.values for name, array in result.arrays.items()}
        return Done(run.job, key, result.seconds, description(result), values, note)

    def _save(self, key: str, result: Result) -> str:
        """Save the result. Returns the reason if that failed: the result is then sent, and its checkpoint stays."""
        try:
            self._store.put(key, result)
        except (ResourceError, StoreError) as error:
            log.warning("%s", error)
            return str(error)
        self._store.checkpoint(key).drop()
        return ""

    @contextmanager
    def _using(self, job: str) -> Iterator[None]:
        """Inside, the resident model stays loaded, and traces of a job that let this one pass stay cached."""
        self._users.add(job)
        try:
            yield
        finally:
            self._users.discard(job)
            if not self._users:
                self._resident.give_back()

    def _ready(self, spec: ModelSpec, progress: Progress) -> Instrument:
        before = self._resident.instrument
        wanted = resolve(spec, progress).fingerprint if self._users else None
        if wanted is not None and before is not None and before.resolved.fingerprint != wanted:
            raise ModelError(
                f"The files of {shown(spec.name)} have changed, and an analysis of the earlier files still runs. "
                "Ask again when that is done."
            )
        try:
            return self._resident.ready(spec, progress)
        finally:
            if self._resident.instrument is not before:
                self._report_loaded()

    def _analysed(self, task: Task, instrument: Instrument, key: str, progress: Reporting) -> Result:
        """Run it, showing what it has so far."""
        analysis = analysis_named(task.request.analysis)
        progress("Computing")
        begun = time.perf_counter()
        checkpoint = self._store.checkpoint(key) if analysis.stored else None
        shown: Result | None = None
        questions = about_questions(instrument, task)

        def result_of(found: Findings) -> Result:
            return Result(
                request=task.request.to_json(),
                arrays=found.arrays,
                ticks=found.ticks,
                scalars={**found.scalars, **questions},
                checks=found.checks,
                model=described(instrument),
                versions={
                    "letterheads": __version__,
                    analysis.name: analysis.version,
                    "torch": torch.__version__,
                    "transformers": transformers.__version__,
                },
                seconds=time.perf_counter() - begun,
            )

        def show(found: Findings) -> None:
            nonlocal shown
            fresh = result_of(found)
            self._emit(changed(progress.job, shown, fresh))
            shown = fresh

        return result_of(analysis.run(instrument, replace(task, checkpoint=checkpoint, show=show), progress))

    def _report_loaded(self) -> None:
        card = self._resident.card()
        returned = {device: self._resident.returned(device) for device in DEVICES}
        self._emit(Loaded(None if card is None else asdict(card), returned))

    def _answer(self, question: Ask) -> None:
        try:
            self._emit(Answer(question.number, self._answer_to(question)))
        except LetterheadsError as error:
            self._emit(Answer(question.number, None, type(error).__name__, str(error)))
        except Exception as error:
            log.exception("A question was not answered: %s", question)
            failed = unexpected(error)
            self._emit(Answer(question.number, None, type(failed).__name__, str(failed)))

    def _answer_to(self, question: Ask) -> Any:
        resolved = resolve(ModelSpec.from_json(question.spec), None)
        if question.what == "memory":
            need = memory_need(resolved, self._resident.returned(resolved.device))
            return {"needed": need.needed, "free": need.free, "others": need.others}
        shape = known_shape(resolved)
        return shape and {"layers": shape.layers, "heads": shape.heads, "parallel": shape.parallel}


def _task(run: Run) -> Task:
    return Task(
        Request.from_json(run.request),
        tuple(map(Question.from_json, run.questions)),
        tuple(tuple(map(Question.from_json, some)) for some in run.shots),
    )
