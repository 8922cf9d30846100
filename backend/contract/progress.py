"""How a long computation reports how far it is, learns that it should stop, and lets a short one go first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """Called often (several times a second at best) by whatever takes long."""

    def __call__(self, message: str, done: int = 0, total: int = 0, /) -> None:
        """Step `done` of `total` (0: not known) of what `message` names. Raises Cancelled to stop the work."""


def silent(message: str, done: int = 0, total: int = 0) -> None:
    """Nobody listens and nobody cancels."""


_waiting: ContextVar[Callable[[], None] | None] = ContextVar("waiting", default=None)


def give_way() -> None:
    """Let a short job on the same model compute first, if one waits; returns when it is our turn again.

    Called between batches and between questions, while no hook is on the model: another job runs the model meanwhile.
    Raises Cancelled.
    """
    if (let_pass := _waiting.get()) is not None:
        let_pass()


@contextmanager
def giving_way(let_pass: Callable[[], None]) -> Iterator[None]:
    """Inside, `give_way` calls `let_pass`; in this thread only."""
    token = _waiting.set(let_pass)
    try:
        yield
    finally:
        _waiting.reset(token)
