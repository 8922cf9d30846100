"""How many layers and heads a model has by its config. Only the host imports transformers, so it answers."""

from concurrent.futures import CancelledError, Future
from typing import Any

from backend.contract.errors import LetterheadsError
from backend.contract.model import ModelSpec
from backend.models.resolve import Resolved
from backend.service.jobs import Jobs

PATIENCE = 0.2


class Shapes:
    """Remembers what the host answered; a page does not wait for a host that is busy starting."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._known: dict[tuple[str, int], Future[Any]] = {}

    def of(self, spec: ModelSpec, resolved: Resolved) -> dict[str, Any] | None:
        """None where the model is not here, its family is not listed, or the host has not answered yet.

        Raises ModelError where the config cannot be used.
        """
        if resolved.folder is None:
            return None
        key = (str(resolved.folder), (resolved.folder / "config.json").stat().st_mtime_ns)
        answer = self._known.get(key)
        if answer is None or answer.cancelled():
            answer = self._known[key] = self._jobs.ask("shape", spec)
        try:
            found: dict[str, Any] | None = answer.result(PATIENCE)
            return found
        except LetterheadsError as error:
            raise type(error)(
                str(error)
            ) from None  # a fresh one: raised twice it would collect both tracebacks
        except (TimeoutError, CancelledError):
            return None
