"""How a long computation tells how far it is, and learns that it should stop."""

from typing import Protocol


class Progress(Protocol):
    """Called often (several times a second at best) by whatever takes long."""

    def __call__(self, message: str, done: int = 0, total: int = 0, /) -> None:
        """Step `done` of `total` (0: not known) of what `message` names. Raises Cancelled to stop the work."""


def silent(message: str, done: int = 0, total: int = 0) -> None:
    """Nobody listens and nobody cancels."""
