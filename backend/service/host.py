"""A host owns one model and runs jobs on it. It may be a process, a thread, or another machine."""

from collections.abc import Callable
from typing import Protocol

from backend.service.messages import FromHost, ToHost

Hear = Callable[[FromHost], None]


class Host(Protocol):
    """Takes messages and answers with others, in an order of its own and from any thread.

    Each Run is answered by Progressed and Partial, any number of times, and in the end by Done or Failed; or the host
    dies, which ends all its runs.
    """

    def listen(self, hear: Hear) -> None:
        """From now on its messages go to `hear`. Called once, before anything else."""

    def start(self) -> None:
        """Get ready, in the background; the first message would do so too."""

    def send(self, message: ToHost) -> None:
        """Returns at once."""

    def kill(self, why: str) -> None:
        """End it and its runs. It then sends Died with this reason, and starts again when it is needed."""

    def close(self) -> None:
        """End it for good. It sends nothing more."""
