"""What a host is sent, and what it answers: frozen values that cross a process border as frames (see `frames.py`).

Fields hold what JSON can carry, except those in `ARRAYS`: name -> numpy array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
ARRAYS = ("whole", "at", "to")


@dataclass(frozen=True)
class Run:
    """Compute this. `job` names this run in all that is said of it; `short`: it goes before long ones."""

    job: str
    request: Mapping[str, Any]
    questions: Sequence[Any]
    shots: Sequence[Any]
    short: bool


@dataclass(frozen=True)
class Cancel:
    """Stop that run; it ends with Failed("Cancelled")."""

    job: str


@dataclass(frozen=True)
class Ask:
    """A question about a model, answered by Answer with the same number: "shape" or "memory"."""

    number: int
    what: str
    spec: Mapping[str, str]


@dataclass(frozen=True)
class Progressed:
    """How far a run is."""

    job: str
    message: str
    done: int
    total: int


@dataclass(frozen=True)
class Partial:
    """What is known of a result now and was not when the last Partial of this run was sent (see `changes.py`)."""

    job: str
    seconds: float
    about: Mapping[str, Any] | None
    whole: Arrays
    at: Arrays
    to: Arrays


@dataclass(frozen=True)
class Done:
    """A run is complete; its result is in the store under `key`, or here where it is not stored.

    `note`: why a result that should be in the store is not.
    """

    job: str
    key: str
    seconds: float = 0.0
    about: Mapping[str, Any] | None = None
    whole: Arrays = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Failed:
    """A run ended without a result: the name of a class of backend.contract.errors, and its message."""

    job: str
    code: str
    message: str


@dataclass(frozen=True)
class Loaded:
    """Which model is in memory now (LoadedModel as a mapping), and the bytes that come free with it, by device."""

    model: Mapping[str, Any] | None
    returned: Mapping[str, int]


@dataclass(frozen=True)
class Answer:
    """To an Ask; where `code` is not empty it is an error, as in Failed."""

    number: int
    value: Any
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Beat:
    """The host is alive."""


@dataclass(frozen=True)
class Died:
    """The host's process is gone, with all its runs. Said by who watched over it, not by itself."""

    why: str


ToHost = Run | Cancel | Ask
FromHost = Progressed | Partial | Done | Failed | Loaded | Answer | Beat | Died
Message = ToHost | FromHost
