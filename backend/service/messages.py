"""The messages to and from a host: frozen values that cross a process border as frames (see `frames.py`).

Fields hold what JSON can carry, except those in `ARRAYS`: name -> numpy array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
ARRAYS = ("full", "indices", "cells")


@dataclass(frozen=True)
class Run:
    """Compute this request. All messages about this run carry `job`. A `short` run goes before long ones."""

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
    """The part of a result that changed since the last Partial of this run (see `changes.py`).

    Attributes:
        description: None where it is the same as before.
        full: arrays that are sent with all their values.
        indices: of other arrays, the indices of the changed cells, row by row; `cells` are their new values.
    """

    job: str
    seconds: float
    description: Mapping[str, Any] | None
    full: Arrays
    indices: Arrays
    cells: Arrays


@dataclass(frozen=True)
class Done:
    """A run is complete. Its result is in the store under `key`, or in this message where it is not stored.

    `note`: why a result could not be saved in the store.
    """

    job: str
    key: str
    seconds: float = 0.0
    description: Mapping[str, Any] | None = None
    full: Arrays = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Failed:
    """A run ended without a result: the name of a class of backend.contract.errors, and its message."""

    job: str
    code: str
    message: str


@dataclass(frozen=True)
class Loaded:
    """The model that is in memory now (LoadedModel as a mapping), and the bytes that unloading it frees, by device."""

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
    """The host's process ended, and all its runs with it. Sent by the object that watches the process."""

    why: str


ToHost = Run | Cancel | Ask
FromHost = Progressed | Partial | Done | Failed | Loaded | Answer | Beat | Died
Message = ToHost | FromHost
