"""What lists and polls show: a job as it stands, a model as it is or would be held, a catalogue entry, a bank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

State = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class JobStatus:
    """A job as it stands now. `done` of `total` steps (total 0: not known yet); `message` says what it is at.

    `error` is the message for the user where the state is failed; `seconds` the time since it was started; `left`
    an estimate of the seconds that this stage still takes, None until there is progress to tell it from. `place` is
    its place in the queue, counted from 1 (0: it does not wait). `note` says what happened on the way and did not end
    it, such as that the model's process had to be started again.
    """

    id: str
    state: State
    done: int
    total: int
    message: str
    error: str
    seconds: float
    left: float | None
    place: int = 0
    note: str = ""

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


@dataclass(frozen=True)
class ModelShape:
    """How many layers and heads; `parallel`: whether attention and MLP read the same residual stream."""

    layers: int
    heads: int
    parallel: bool


@dataclass(frozen=True)
class ResolvedModel:
    """What `auto` means here for a model, and whether there is memory for it.

    Attributes:
        dtype, device: as decided; `reason` says in words why this dtype.
        shape: None where it is not known (yet): the model is not here, or its config is still being read.
        needed_bytes: to load it; 0 where that is not known before it is fetched.
        free_bytes: those that the resident model gives back are counted.
        fits: whether it can be loaded now.
        others: where it does not fit, in words how else it could be held.
        resident: whether it is in memory already.
    """

    dtype: str
    device: str
    reason: str
    shape: ModelShape | None
    needed_bytes: int
    free_bytes: int
    fits: bool
    others: tuple[str, ...]
    resident: bool


@dataclass(frozen=True)
class LoadedModel:
    """The model in memory.

    `checks`: the self-check's figures, each with what it must stay under. `notes`: sentences on what is special.
    """

    name: str
    dtype: str
    quantization: str
    device: str
    fingerprint: str
    family: str
    layers: int
    heads: int
    kv_heads: int
    notes: Sequence[str] = ()
    checks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
