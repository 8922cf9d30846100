import time
from itertools import count
from pathlib import Path

import pytest

from backend.analyses import ANALYSES, Analysis, Findings, Task
from backend.contract.progress import Progress
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.service.local import LocalClient
from tests import hand_wired
from tests.backend.service.serving import MODEL, Loader, serving


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def client(tmp_path: Path, loader: Loader) -> LocalClient:
    return serving(tmp_path / "results", loader)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Request:
    """A request whose job goes through questions until it is cancelled."""

    def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
        for done in count():
            progress("Going through the questions", done, 10**9)
            time.sleep(0.01)
        raise AssertionError

    monkeypatch.setitem(ANALYSES, "endless", Analysis("endless", 1, "", ("question",), run))
    return Request.build("endless", model=MODEL, question=hand_wired.question(1), prompt=hand_wired.SPEC)
