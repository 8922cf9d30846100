"""What a host does with its messages: every run ends with one message, whatever happens."""

import threading
from pathlib import Path

import pytest

from backend.analyses import ANALYSES, Analysis, Findings, Task
from backend.contract.progress import Progress
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.results.store import Store
from backend.service.local import LocalClient
from backend.service.messages import Cancel
from backend.service.runner import Runner
from tests import hand_wired
from tests.backend.service.serving import MODEL


def test_a_result_that_cannot_be_sent_fails_its_job(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
        return Findings({}, scalars={"no JSON": object()})

    analysis = Analysis("unsendable", 1, "", ("question",), run, stored=False)
    monkeypatch.setitem(ANALYSES, "unsendable", analysis)
    request = Request.build(
        "unsendable", model=MODEL, question=hand_wired.question(1), prompt=hand_wired.SPEC
    )
    status = client.wait(client.submit(request), 30)
    assert status.state == "failed"
    assert "not JSON serializable" in status.error


def test_a_run_may_end_while_it_is_cancelled(tmp_path: Path) -> None:
    class Ending(dict[str, threading.Event]):
        """The run ends right after somebody looked whether it is there."""

        def __contains__(self, job: object) -> bool:
            self.clear()
            return True

    runner = Runner(Store(tmp_path), lambda message: None)
    stop = threading.Event()
    runner._stops = Ending({"1": stop})
    runner.take(Cancel("1"))
    assert stop.is_set()
