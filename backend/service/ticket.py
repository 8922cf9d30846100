"""A request with all that is known about it before a model is loaded. Made once, when it comes in. No torch."""

from dataclasses import dataclass

from backend.analyses import Analysis, Task, analysis_named
from backend.analyses.fetch import fetch
from backend.contract.request import Request
from backend.models.resolve import Resolved, resolve
from backend.service.keys import job_key, store_key


@dataclass(frozen=True)
class Ticket:
    """`key` is where the result is stored: empty where that is not known before files are fetched or hashed."""

    task: Task
    resolved: Resolved
    key: str

    @property
    def analysis(self) -> Analysis:
        """The entry of the registry."""
        return analysis_named(self.task.request.analysis)

    @property
    def job_key(self) -> str:
        """The same for requests that one job answers."""
        return job_key(self.task)

    @property
    def model(self) -> tuple[str, ...]:
        """The same for tickets that one resident model serves. Not its fingerprint, which may not be known yet."""
        found = self.resolved
        return (found.name, found.dtype, found.quantization, found.device)

    @property
    def short(self) -> bool:
        """Whether it is answered in about a forward pass, and so passes long jobs."""
        return self.analysis.interactive and self.task.request.questions is None


def ticket_for(request: Request) -> Ticket:
    """Raises RequestError, QuestionError, ModelError, ResourceError: all that is known without loading the model."""
    task = fetch(request)
    resolved = resolve(request.model, None)
    key = store_key(task, resolved.fingerprint) if resolved.fingerprint else ""
    return Ticket(task, resolved, key)
