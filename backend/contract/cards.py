"""What lists and polls show: a job as it stands, a catalogue entry, a bank."""

from dataclasses import dataclass
from typing import Literal

State = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class JobStatus:
    """A job as it stands now. `done` of `total` steps (total 0: not known yet); `message` says what it is at.

    `error` is the message for the user where the state is failed; `seconds` the time since it was started; `left`
    an estimate of the seconds that this stage still takes, None until there is progress to tell it from.
    """

    id: str
    state: State
    done: int
    total: int
    message: str
    error: str
    seconds: float
    left: float | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True)
class ModelCard:
    """A catalogue entry as a page shows it."""

    name: str
    title: str
    license: str
    role: str
    parameters: int
    bytes: int
    ready: bool


@dataclass(frozen=True)
class BankCard:
    """A bank as a page shows it; `questions` counts them."""

    name: str
    title: str
    questions: int
    subjects: tuple[str, ...]
