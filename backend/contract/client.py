"""What the frontend may ask of the backend. The page knows this protocol and nothing behind it."""

from collections.abc import Sequence
from typing import Protocol

from backend.contract.cards import BankCard, JobStatus, LoadedModel, ModelCard, ResolvedModel
from backend.contract.files import FilePreview, Reading
from backend.contract.model import ModelSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Result


class Client(Protocol):
    """Everything that a page can ask. Each call returns at once, except `wait`."""

    def models(self) -> Sequence[ModelCard]:
        """The catalogue, in its order."""

    def devices(self) -> Sequence[str]:
        """The values of `ModelSpec.device` that mean something on this machine."""

    def banks(self) -> Sequence[BankCard]:
        """The banks: ours, and those uploaded."""

    def questions(self, bank: str) -> Sequence[Question]:
        """All questions of one bank. Raises QuestionError for an unknown one."""

    def preview(self, name: str, data: bytes, reading: Reading) -> FilePreview:
        """What an uploaded file holds; nothing is kept. Raises QuestionError where there is no table in it."""

    def upload(self, name: str, data: bytes, reading: Reading) -> BankCard:
        """Keep an uploaded file as a bank. Raises QuestionError with the line at fault, or what has to be said."""

    def delete_bank(self, name: str) -> None:
        """Delete an uploaded bank; saved results about it stay. Raises QuestionError for one that was not uploaded."""

    def find(self, request: Request) -> Result | None:
        """The saved result, without touching the model; None where there is none.

        None too for a folder or GGUF file whose content was not hashed yet: the job does that.
        """

    def submit(self, request: Request, caller: str = "") -> str:
        """Queue the request (or join those who wait for the job that already runs it).

        `caller` names who asks: callers are served in turn. Returns an id of the waiter's own: leaving the job by it
        does not take it away from the others. Raises RequestError, also where the caller has too many jobs waiting.
        """

    def status(self, job: str) -> JobStatus:
        """How a job stands. Raises RequestError for an unknown id."""

    def wait(self, job: str, seconds: float) -> JobStatus:
        """The status once the job is finished, or after `seconds`, whichever comes first."""

    def cancel(self, job: str) -> None:
        """Leave a job. It stops within a second where nobody else waits for it; a finished one stays as it is.

        A job also ends when all who wait for it have not asked about it for ten minutes; a queued one after two.
        """

    def partial(self, job: str) -> Result | None:
        """What is known of the result so far, NaN where nothing is; None while there is nothing to show.

        It stays when the job is cancelled, and a job that goes on from there begins with it.
        """

    def result(self, job: str) -> Result:
        """The result of a job that is done. Raises what the job raised, or RequestError where it is not done."""

    def loaded(self) -> LoadedModel | None:
        """The resident model, None where there is none."""

    def resolve(self, spec: ModelSpec) -> ResolvedModel:
        """What `auto` means here for this model, and the memory for it. Raises ModelError, ResourceError."""
