"""The client of a worker in this very process."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from backend.contract.cards import BankCard, JobStatus, ModelCard
from backend.contract.errors import Cancelled, LetterheadsError, QuestionError, RequestError
from backend.contract.model import ModelSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Result
from backend.models import catalogue, resolve, room_for
from backend.models.resolve import usable_devices
from backend.models.shape import known_shape
from backend.questions import banks, uploads
from backend.service.worker import Worker

log = logging.getLogger(__name__)


class InProcessClient:
    """See `Client`, which it implements."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def models(self) -> Sequence[ModelCard]:
        return [
            ModelCard(
                name=entry.name,
                title=entry.title,
                license=entry.license,
                role=entry.role,
                parameters=entry.parameters,
                bytes=entry.gguf.bytes,
                ready=resolve(ModelSpec(entry.name, device="cpu")).folder is not None,
            )
            for entry in catalogue().values()
        ]

    def devices(self) -> Sequence[str]:
        return usable_devices()

    def banks(self) -> Sequence[BankCard]:
        cards = []
        for name in banks.bank_names():
            try:
                cards.append(_card(banks.load_bank(name)))
            except QuestionError as error:  # one damaged upload does not take the others with it
                log.warning("%s", error)
        return cards

    def questions(self, bank: str) -> Sequence[Question]:
        return banks.load_bank(bank).questions

    def upload(self, name: str, data: bytes) -> BankCard:
        return _card(uploads.keep(name, data))

    def find(self, request: Request) -> Result | None:
        return self._worker.find(request)

    def submit(self, request: Request) -> str:
        return self._worker.submit(request)

    def status(self, job: str) -> JobStatus:
        return self._worker.waiter(job).status()

    def wait(self, job: str, seconds: float) -> JobStatus:
        waiter = self._worker.waiter(job)
        waiter.looked = time.monotonic() + seconds
        waiter.job.finished.wait(seconds)
        return waiter.status()

    def cancel(self, job: str) -> None:
        self._worker.waiter(job).left = True

    def partial(self, job: str) -> Result | None:
        found = self._worker.waiter(job).job
        return self._worker.find(found.task.request) if found.state == "done" else found.partial

    def result(self, job: str) -> Result:
        waiter = self._worker.waiter(job)
        found = waiter.job
        if found.error is not None:
            raise _again(found.error)
        if not found.finished.is_set():
            if waiter.left:
                raise Cancelled("Cancelled. It goes on for somebody else who waits for it.")
            raise RequestError("This job is not done yet. Wait for it.")
        saved = self._worker.find(found.task.request)
        if saved is None:
            raise RequestError("The result of this job is no longer saved. Ask for the analysis again.")
        return saved

    def loaded(self) -> dict[str, Any] | None:
        return self._worker.loaded()

    def resolve(self, spec: ModelSpec) -> dict[str, Any]:
        resolved = resolve(spec)
        room = room_for(resolved, self._worker.returned(resolved.device))
        resident, shape = self._worker.loaded(), known_shape(resolved)
        return {
            "dtype": resolved.dtype,
            "device": resolved.device,
            "reason": resolved.reason,
            "shape": shape and {"layers": shape.layers, "heads": shape.heads, "parallel": shape.parallel},
            "needed_bytes": room.needed,
            "free_bytes": room.free,
            "fits": room.fits,
            "others": list(room.others),
            "resident": resident is not None and resident["fingerprint"] == resolved.fingerprint,
        }


def _card(bank: banks.Bank) -> BankCard:
    subjects = tuple(sorted({question.subject for question in bank.questions}))
    return BankCard(bank.name, bank.title, len(bank.questions), subjects)


def _again(error: LetterheadsError) -> LetterheadsError:
    """A fresh exception with the same words: one raised twice would collect both tracebacks."""
    return type(error)(str(error))
