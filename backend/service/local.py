"""The client of a host on this machine. No torch: whatever needs it is asked of the host."""

from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

from backend.contract.cards import BankCard, JobStatus, LoadedModel, ModelCard, ModelShape, ResolvedModel
from backend.contract.files import FilePreview, Reading
from backend.contract.model import ModelSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Result
from backend.models.catalogue import catalogue
from backend.models.memory_check import memory_need
from backend.models.resolve import Resolved, resolve, usable_devices
from backend.questions import banks, upload_index, uploads
from backend.questions.files import preview
from backend.questions.upload_index import card_of
from backend.service.jobs import Jobs
from backend.service.shapes import Shapes

MEMORY_SECONDS = 1.0


class LocalClient:
    """See `Client`, which it implements."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._shapes = Shapes(jobs)

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
        return [*(card_of(banks.load_bank(name)) for name in banks.REGISTRY), *upload_index.cards()]

    def questions(self, bank: str) -> Sequence[Question]:
        return banks.load_bank(bank).questions

    def preview(self, name: str, data: bytes, reading: Reading) -> FilePreview:
        return preview(name, data, reading)

    def upload(self, name: str, data: bytes, reading: Reading) -> BankCard:
        return card_of(uploads.keep(name, data, reading))

    def delete_bank(self, name: str) -> None:
        uploads.delete(name)

    def find(self, request: Request) -> Result | None:
        return self._jobs.find(request)

    def submit(self, request: Request, caller: str = "") -> str:
        return self._jobs.submit(request, caller).id

    def status(self, job: str) -> JobStatus:
        return self._jobs.status(job)

    def wait(self, job: str, seconds: float) -> JobStatus:
        return self._jobs.wait(job, seconds)

    def cancel(self, job: str) -> None:
        self._jobs.leave(job)

    def partial(self, job: str) -> Result | None:
        return self._jobs.partial(job)

    def result(self, job: str) -> Result:
        return self._jobs.result(job)

    def loaded(self) -> LoadedModel | None:
        return self._jobs.loaded

    def resolve(self, spec: ModelSpec) -> ResolvedModel:
        resolved, resident = resolve(spec, None), self._jobs.loaded
        shape, memory = self._shapes.of(spec, resolved), self._memory(spec, resolved)
        return ResolvedModel(
            dtype=resolved.dtype,
            device=resolved.device,
            reason=resolved.reason,
            shape=None if shape is None else ModelShape(**shape),
            needed_bytes=memory["needed"],
            free_bytes=memory["free"],
            fits=memory["needed"] <= memory["free"],
            others=tuple(memory["others"]),
            resident=resident is not None and resident.fingerprint == resolved.fingerprint,
        )

    def _memory(self, spec: ModelSpec, resolved: Resolved) -> dict[str, Any]:
        """Bytes needed and free. Only the host knows a graphics card's memory: zeros if it does not answer in time."""
        if resolved.device in ("cpu", "mps"):
            need = memory_need(resolved, self._jobs.returned(resolved.device))
            return {"needed": need.needed, "free": need.free, "others": need.others}
        try:
            found: dict[str, Any] = self._jobs.ask("memory", spec).result(MEMORY_SECONDS)
            return found
        except (TimeoutError, CancelledError):
            return {"needed": 0, "free": 0, "others": ()}
