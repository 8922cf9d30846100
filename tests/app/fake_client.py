"""A client that answers with made-up results: the pages' seam for tests. No model, no disk."""

from collections.abc import Collection, Sequence

from backend.analyses import analysis_named
from backend.contract.cards import BankCard, JobStatus, LoadedModel, ModelCard, ModelShape, ResolvedModel
from backend.contract.errors import Cancelled, LetterheadsError, QuestionError, shown
from backend.contract.files import FilePreview, FileRead, LeftOut, Reading
from backend.contract.model import ModelSpec
from backend.contract.question import Question
from backend.contract.request import QuestionSet, Request
from backend.contract.result import Result
from tests.app.made_up import BANK, HEADS, LAYERS, made_up

FOREIGN = ("foreign", "one", "two", "key")


class FakeClient:
    """Refuses what the backend refuses without a model, and answers at once.

    With `slow`, maybe only to some analyses, it never answers; `error` is raised by every result.
    What `shown` holds for an analysis is what its job has found so far.
    """

    def __init__(
        self, *, slow: bool | Collection[str] = False, error: LetterheadsError | None = None
    ) -> None:
        self.slow = slow
        self.error = error
        self.resolved = ResolvedModel(
            dtype="float32",
            device="cpu",
            reason="It fits comfortably in memory.",
            shape=ModelShape(LAYERS, HEADS, parallel=False),
            needed_bytes=7_700_000_000,
            free_bytes=20_000_000_000,
            fits=True,
            others=(),
            resident=False,
        )
        self.shown: dict[str, Result] = {}
        self.submitted: list[Request] = []
        self.cancelled: list[str] = []
        self.titles: dict[str, str] = {}
        self.read_as: list[Reading] = []
        self.banked = {"copy-colors": BANK, "other": BANK[:2]}

    def models(self) -> Sequence[ModelCard]:
        return (
            ModelCard(
                "qwen2.5-coder-1.5b",
                "Qwen2.5-Coder 1.5B",
                "Apache-2.0",
                "default",
                1_540_000_000,
                10**9,
                True,
            ),
            ModelCard(
                "qwen2.5-coder-0.5b", "Qwen2.5-Coder 0.5B", "Apache-2.0", "small", 490_000_000, 10**8, False
            ),
        )

    def devices(self) -> Sequence[str]:
        return ("auto", "cpu")

    def banks(self) -> Sequence[BankCard]:
        return [
            BankCard(
                name,
                self.titles.get(name, name.title()),
                len(questions),
                tuple(dict.fromkeys(q.subject for q in questions)),
            )
            for name, questions in self.banked.items()
        ]

    def questions(self, bank: str) -> Sequence[Question]:
        if bank not in self.banked:
            raise QuestionError(f"There is no bank {shown(bank)}.")
        return self.banked[bank]

    def preview(self, name: str, data: bytes, reading: Reading) -> FilePreview:
        if not data.strip():
            raise QuestionError(f"Line 1 of {shown(name)} is empty.")
        if b"foreign" in data:
            read = FileRead("columns", BANK[:3]) if reading.columns else None
            return FilePreview(FOREIGN, (tuple("?abA"),), read, "" if read else "Map the columns by hand.")
        odd = (LeftOut("Line 3", "equal options", "Options 1 and 2 are the same."),) if b"odd" in data else ()
        return FilePreview(("q", "a"), (("?", "a"),), FileRead("columns", BANK[:3], odd))

    def upload(self, name: str, data: bytes, reading: Reading) -> BankCard:
        self.read_as.append(reading)
        self.banked["upload-1"], self.titles["upload-1"] = BANK[:3], name
        return BankCard("upload-1", name, 3, ("colors",))

    def delete_bank(self, name: str) -> None:
        del self.banked[name], self.titles[name]

    def find(self, request: Request) -> Result | None:
        self._check(request)
        slow = self.slow if isinstance(self.slow, bool) else request.analysis in self.slow
        return None if slow or self.error else made_up(request)

    def submit(self, request: Request, caller: str = "") -> str:
        self._check(request)
        self.submitted.append(request)
        return str(len(self.submitted))

    def status(self, job: str) -> JobStatus:
        state = "cancelled" if job in self.cancelled else "failed" if self.error else "running"
        return JobStatus(job, state, 3, 10, "Going through the questions", str(self.error or ""), 1.5, 41.0)  # type: ignore[arg-type]

    def wait(self, job: str, seconds: float) -> JobStatus:
        return self.status(job)

    def cancel(self, job: str) -> None:
        self.cancelled.append(job)

    def result(self, job: str) -> Result:
        if self.error:
            raise self.error
        if job in self.cancelled:
            raise Cancelled("Cancelled.")
        return made_up(self.submitted[int(job) - 1])

    def partial(self, job: str) -> Result | None:
        return self.shown.get(self.submitted[int(job) - 1].analysis)

    def loaded(self) -> LoadedModel | None:
        return None

    def resolve(self, spec: ModelSpec) -> ResolvedModel:
        return self.resolved

    def _check(self, request: Request) -> None:
        """Refuse what the backend refuses without a model."""
        about = request.questions
        bank = self.banked[about.bank] if isinstance(about, QuestionSet) else ()
        analysis_named(request.analysis).check(request, bank)
