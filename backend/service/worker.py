"""The one owner of the model: takes jobs in turn, loads what they need, runs them, keeps their results."""

import errno
import logging
import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import transformers

from backend import __version__
from backend.analyses import Findings, Task, analysis_named
from backend.analyses.checks.self_check import Checks, refuse_failed, self_check
from backend.analyses.fetch import fetch
from backend.contract.errors import Cancelled, LetterheadsError, RequestError, ResourceError, shown
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress
from backend.contract.request import Request
from backend.contract.result import Result
from backend.engine.instrument import Instrument
from backend.models import LoadedModel, prepare, release, resolve
from backend.models.memory import OFFLOAD, held_bytes, is_out_of_memory, return_freed, trim_heap
from backend.models.resolve import GIGABYTE
from backend.results.store import Store
from backend.service.job import Job, Waiter
from backend.service.keys import job_key, store_key

log = logging.getLogger(__name__)
KEPT_JOBS = 256
Prepare = Callable[[ModelSpec, Progress, int], Callable[[], LoadedModel]]


class Worker:
    """Jobs run one at a time on one thread, in the order they came; at most one model is held."""

    def __init__(self, store: Store, prepare: Prepare = prepare) -> None:
        self._store = store
        self._prepare = prepare
        self._latest: dict[str, Job] = {}
        self._waiters: dict[str, Waiter] = {}
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._instrument: Instrument | None = None
        self._checks: Checks = {}
        self._held: Counter[str] = Counter()
        threading.Thread(target=self._serve, name="letterheads-worker", daemon=True).start()

    def find(self, request: Request) -> Result | None:
        """The saved result of a request, without touching the model. Raises what `submit` raises."""
        task = _task(request)
        fingerprint = resolve(request.model).fingerprint
        return self._store.find(store_key(task, fingerprint)) if fingerprint else None

    def submit(self, request: Request) -> str:
        """Queue a request, or join those who wait for it already; the id of the one who now waits.

        Raises RequestError, QuestionError, ModelError: all that can be told without loading the model.
        """
        task = _task(request)
        resolve(request.model)
        key = job_key(task)
        with self._lock:
            job = self._latest.get(key)
            if job is None or job.finished.is_set() or job.unwanted:
                job = Job(task, partial=None if job is None else job.partial)
                self._latest[key] = job
                self._queue.put(job)
            identity = uuid.uuid4().hex
            self._waiters[identity] = job.join(identity)
            self._forget_old()
        return identity

    def waiter(self, identity: str) -> Waiter:
        """Who waits under this id, and for what. Raises RequestError for one that is not known (any more)."""
        with self._lock:
            if identity not in self._waiters:
                raise RequestError(
                    f"There is no job {shown(identity)} (any more). Ask for the analysis again."
                )
            return self._waiters[identity]

    def loaded(self) -> dict[str, Any] | None:
        """The resident model with its self-check figures, or None."""
        instrument = self._instrument
        return None if instrument is None else {**_describe(instrument), "checks": self._checks}

    def returned(self, device: str) -> int:
        """Bytes on a device that come free when the resident model is let go."""
        instrument = self._instrument
        if instrument is None:
            return 0
        on_processor = self._held["cpu"] + instrument.cached_bytes()
        if device == OFFLOAD:
            return self._held["cuda"] + on_processor
        return on_processor if device == "cpu" else self._held[device]

    def _forget_old(self) -> None:
        for identity, waiter in list(self._waiters.items()):
            if len(self._waiters) <= KEPT_JOBS:
                break
            if waiter.job.finished.is_set():
                del self._waiters[identity]
        kept = {waiter.job for waiter in self._waiters.values()}
        self._latest = {key: job for key, job in self._latest.items() if job in kept}

    def _serve(self) -> None:
        while True:
            self._run(self._queue.get())
            trim_heap()  # between jobs, so that a long row of them takes no more than the largest

    def _run(self, job: Job) -> None:
        job.state, short_of = "running", None
        try:
            self._compute(job)
            job.finish("done")
        except Cancelled as error:
            job.finish("cancelled", error)
        except LetterheadsError as error:
            job.finish("failed", error)
        except Exception as error:  # the border: whatever went wrong, the worker lives and the user is told
            if is_out_of_memory(error) and (short_of := self._instrument):
                job.finish("failed", _out_of_memory(short_of, job.task.request))
            else:
                log.exception("A job failed: %s", job.task.request.canonical()[:500])
                job.finish("failed", _unexpected(error))
        if short_of:  # not earlier: the error held what had been taken
            return_freed(short_of.resolved.device)

    def _compute(self, job: Job) -> None:
        """Leave the result in the store, where it may be already."""
        request = job.task.request
        job.progress("Looking for a saved result")
        if self.find(request) is not None:
            return
        instrument = self._ready(request.model, job.progress)
        analysis = analysis_named(request.analysis)
        job.progress("Computing")
        begun = time.perf_counter()
        key = store_key(job.task, instrument.resolved.fingerprint)
        checkpoint = self._store.checkpoint(key)

        def result_of(found: Findings) -> Result:
            return Result(
                request=request.to_json(),
                arrays=found.arrays,
                ticks=found.ticks,
                scalars=found.scalars,
                checks=found.checks,
                model=_describe(instrument),
                versions={
                    "letterheads": __version__,
                    analysis.name: analysis.version,
                    "torch": torch.__version__,
                    "transformers": transformers.__version__,
                },
                seconds=time.perf_counter() - begun,
            )

        def show(found: Findings) -> None:
            job.partial = result_of(found)

        task = replace(job.task, checkpoint=checkpoint, show=show)
        self._store.put(key, result_of(analysis.run(instrument, task, job.progress)))
        checkpoint.drop()

    def _ready(self, spec: ModelSpec, progress: Progress) -> Instrument:
        """The instrument for `spec`; another model is let go once this one is known to be loadable."""
        wanted = resolve(spec)
        if self._instrument is not None and self._instrument.resolved.fingerprint == wanted.fingerprint:
            return self._instrument
        try:
            load = self._prepare(spec, progress, self.returned(wanted.device))
            self._let_go()
            return self._take_in(load(), progress)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise ResourceError(
                f"The memory ran out while {shown(spec.name)} was made ready. Close other programs, or try dtype "
                "bfloat16, quantization 8bit, or a smaller model."
            ) from error

    def _take_in(self, loaded: LoadedModel, progress: Progress) -> Instrument:
        try:
            progress("Checking the model against itself")
            instrument = Instrument(loaded)
            checks = self_check(instrument, progress)
            refuse_failed(loaded.resolved.name, checks)
        except BaseException:
            release(loaded)
            raise
        self._held = held_bytes(loaded.model.parameters())
        return_freed(loaded.resolved.device)  # what is left of the model before, and of the checks
        self._instrument, self._checks = instrument, checks
        return instrument

    def _let_go(self) -> None:
        instrument, self._instrument, self._checks = self._instrument, None, {}
        if instrument is not None:
            loaded = instrument.loaded
            del instrument
            release(loaded)


def _task(request: Request) -> Task:
    analysis_named(request.analysis).check(request)
    return fetch(request)


def _out_of_memory(instrument: Instrument, request: Request) -> ResourceError:
    """What did not fit, and what takes less."""
    resolved = instrument.resolved
    advice = ["a shorter prompt or fewer shots"]
    if resolved.dtype == "float32":
        advice.append("dtype bfloat16")
    if resolved.quantization == "none":
        advice.append("quantization 8bit or 4bit")
    return ResourceError(
        f"The memory of {resolved.device} ran out in {request.analysis}, beside the "
        f"{resolved.weight_bytes / GIGABYTE:.1f} GB of {shown(resolved.name)}. The model is still there. "
        f"Try {', '.join(advice)}, or a smaller model."
    )


def _describe(instrument: Instrument) -> dict[str, Any]:
    resolved, shape = instrument.resolved, instrument.shape
    return {
        "name": resolved.name,
        "dtype": resolved.dtype,
        "quantization": resolved.quantization,
        "device": resolved.device,
        "fingerprint": resolved.fingerprint,
        "family": instrument.model.config.model_type,
        "layers": shape.layers,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads,
    }


def _unexpected(error: Exception) -> LetterheadsError:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ResourceError("The disk is full. Free some space, or set LETTERHEADS_HOME to another disk.")
    return LetterheadsError(
        f"Something went wrong inside Letterheads ({type(error).__name__}: {shown(str(error), 200)}). "
        "The terminal that runs it shows where; nothing that was saved is lost."
    )
