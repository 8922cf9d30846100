"""A host in this very process, for tests and measurements: it brings torch with it, and cannot be killed."""

from backend.models import prepare
from backend.results.store import Store
from backend.service.frames import decode, encode
from backend.service.host import Hear
from backend.service.messages import FromHost, ToHost
from backend.service.resident import Prepare
from backend.service.runner import Runner


class ThreadHost:
    """See `Host`. Each message goes through a frame, so that what it holds is what would cross to a process."""

    def __init__(self, store: Store, prepare: Prepare = prepare) -> None:
        self._runner = Runner(store, self._say, prepare)
        self._hear: Hear = lambda message: None

    def listen(self, hear: Hear) -> None:
        self._hear = hear

    def start(self) -> None:
        pass

    def send(self, message: ToHost) -> None:
        self._runner.take(decode(encode(message)))  # type: ignore[arg-type]

    def kill(self, why: str) -> None:
        pass

    def close(self) -> None:
        self._hear = lambda message: None

    def _say(self, message: FromHost) -> None:
        self._hear(decode(encode(message)))  # type: ignore[arg-type]
