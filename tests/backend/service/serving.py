"""What tests of the service share: a request, a host in this process, and a loader that gives the hand-wired model."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from backend.contract.model import ModelSpec
from backend.contract.progress import Progress
from backend.contract.request import Request
from backend.models import RunnableModel, prepare, resolve
from backend.results.store import Store
from backend.service.jobs import Jobs
from backend.service.local import LocalClient
from backend.service.resident import Prepare
from backend.service.thread_host import ThreadHost
from tests import hand_wired

MODEL = ModelSpec("qwen2.5-coder-0.5b")
REQUEST = Request.build("attribution", model=MODEL, question=hand_wired.question(1), prompt=hand_wired.SPEC)


class Loader:
    """Gives the hand-wired model under the catalogue's name, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, spec: ModelSpec, progress: Progress, returned: int) -> Callable[[], RunnableModel]:
        self.calls += 1
        progress("Loading")
        model = hand_wired.hand_wired()
        return lambda: replace(model, resolved=replace(model.resolved, fingerprint=resolve(spec).fingerprint))


def serving(results: Path, prepare: Prepare = prepare) -> LocalClient:
    """A client of a host in this process."""
    store = Store(results)
    return LocalClient(Jobs(store, ThreadHost(store, prepare)))


def begun(client: LocalClient, request: Request, steps: int) -> str:
    """Its job, some questions under way."""
    job = client.submit(request)
    wait_until(lambda: client.status(job).message == "Going through the questions")
    wait_until(lambda: client.status(job).done >= steps)
    return job


def wait_until(holds: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
