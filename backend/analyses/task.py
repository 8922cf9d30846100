"""What an analysis is given, a task, and what it returns, findings. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Array
from backend.questions.prompt import Prompt
from backend.results.checkpoint import Checkpoint

if TYPE_CHECKING:
    import backend.engine.instrument


@dataclass(frozen=True)
class Findings:
    """What an analysis returns; the fields are those of Result."""

    arrays: Mapping[str, Array] = field(default_factory=dict)
    ticks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scalars: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A request with its questions fetched, and the shots that go before each of them.

    `checkpoint` is where a long analysis may keep what it has finished; `show` may be given findings that are not
    whole yet, NaN where nothing is known, for whoever waits to look at.
    """

    request: Request
    questions: tuple[Question, ...]
    shots: tuple[tuple[Question, ...], ...]
    checkpoint: Checkpoint | None = None
    show: Callable[[Findings], None] | None = None

    def prompts(self, instrument: "backend.engine.instrument.Instrument") -> list[Prompt]:
        """The rendered prompts, one a question. Raises QuestionError."""
        pairs = zip(self.questions, self.shots, strict=True)
        return [instrument.prompt(question, self.request.prompt, shots) for question, shots in pairs]
