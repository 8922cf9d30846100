"""The worker's jobs: progress and cancel, what goes wrong told in words, results found again without the model."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend.analyses import ANALYSES, Analysis, Findings, Task
from backend.analyses.findings import array
from backend.contract.errors import Cancelled, LetterheadsError, ModelError, QuestionError, RequestError
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.models.load import LoadedModel
from backend.results.store import Store
from backend.service import job
from backend.service.in_process import InProcessClient
from backend.service.worker import Worker
from tests import hand_wired
from tests.backend.service.serving import MODEL, REQUEST, Loader, wait_until

QUESTIONS = 4000
SLOW = Request.build(
    "attention",
    model=MODEL,
    questions=tuple(hand_wired.question(n % 4) for n in range(QUESTIONS)),
    prompt=hand_wired.SPEC,
)


@pytest.fixture
def showing(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """An analysis of this name that shows each number put into the list, and ends at a negative one."""
    numbers: list[float] = []

    def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
        last = 0.0
        while True:
            progress("Showing")
            if not numbers:
                time.sleep(0.01)
                continue
            number = numbers.pop(0)
            if number < 0:
                return Findings({"values": array(np.array([last]), ("cell",), "logits")})
            last = number
            assert task.show is not None
            task.show(Findings({"values": array(np.array([last]), ("cell",), "logits")}))

    monkeypatch.setitem(ANALYSES, "showing", Analysis("showing", 7, "", ("question",), run))
    return numbers


def begun(client: InProcessClient, steps: int) -> str:
    """The slow job, some steps under way."""
    job = client.submit(SLOW)
    wait_until(lambda: client.status(job).message == "Going through the questions")
    wait_until(lambda: client.status(job).done >= steps)
    return job


def test_a_job_runs_and_its_result_is_found_again_after_a_restart(
    client: InProcessClient, loader: Loader, tmp_path: Path
) -> None:
    assert client.find(REQUEST) is None
    status = client.wait(client.submit(REQUEST), 30)
    assert (status.state, status.error) == ("done", "")
    result = client.result(status.id)
    assert result.scalars["predicted"] == "B"
    assert result.model["layers"] == 2
    assert result.checks["identity_error"][0] < 1e-3
    second = InProcessClient(Worker(Store(tmp_path / "results"), loader))
    found = second.find(REQUEST)
    assert found is not None
    assert (found["heads"] == result["heads"]).all()
    assert found.scalars == result.scalars
    assert loader.calls == 1
    assert second.loaded() is None


def test_the_same_numbers_are_one_entry_whatever_the_request_calls_them(client: InProcessClient) -> None:
    client.wait(client.submit(REQUEST), 30)
    from dataclasses import replace

    spelled_out = replace(REQUEST, model=ModelSpec(MODEL.name, dtype=client.resolve(MODEL)["dtype"]))
    assert client.find(spelled_out) is not None
    other = replace(REQUEST, question=hand_wired.question(2))
    assert client.find(other) is None


def test_cancel_takes_effect_within_a_second_and_the_worker_goes_on(client: InProcessClient) -> None:
    client.wait(client.submit(REQUEST), 30)
    job = begun(client, 3)
    assert client.status(job).total == QUESTIONS
    start = time.monotonic()
    client.cancel(job)
    status = client.wait(job, 5)
    assert status.state == "cancelled"
    assert time.monotonic() - start < 1
    with pytest.raises(LetterheadsError, match="Cancelled"):
        client.result(job)
    fresh = Request.build("prediction", model=MODEL, question=hand_wired.question(3), prompt=hand_wired.SPEC)
    assert client.wait(client.submit(fresh), 30).state == "done"
    # Asked for again after a cancel it is a new job, not the cancelled one.
    again = client.submit(SLOW)
    assert client.status(again).state in ("queued", "running")
    client.cancel(again)


def test_a_waiting_job_can_be_cancelled(client: InProcessClient) -> None:
    slow, waiting = client.submit(SLOW), client.submit(REQUEST)
    client.cancel(waiting)
    client.cancel(slow)
    assert client.wait(waiting, 5).state == "cancelled"


def test_a_job_that_two_wait_for_stops_when_both_have_left(client: InProcessClient, loader: Loader) -> None:
    one = begun(client, 3)
    other = client.submit(SLOW)
    assert client.status(other).done >= 3
    for _ in range(2):  # leaving twice is leaving once
        client.cancel(one)
        assert client.wait(one, 0.3).state == "cancelled"
    with pytest.raises(Cancelled, match="somebody else"):
        client.result(one)
    far = client.status(other).done
    wait_until(lambda: client.status(other).done > far + 3)
    assert client.status(other).state == "running"
    # Who left may come back to it.
    back = client.submit(SLOW)
    assert client.status(back).done > far
    client.cancel(other)
    client.cancel(back)
    assert client.wait(other, 5).state == "cancelled"


def test_who_no_longer_looks_does_not_keep_a_job_going(
    client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "LOOKING_SECONDS", 0.3)
    closed_tab = begun(client, 3)
    fresh_tab = client.submit(SLOW)
    time.sleep(0.5)
    assert client.status(fresh_tab).state == "running"  # nobody has left: it goes on unwatched
    time.sleep(0.5)
    client.cancel(fresh_tab)
    assert client.wait(fresh_tab, 5).state == "cancelled"
    assert client.wait(closed_tab, 5).state == "cancelled"


def test_the_time_left_is_told_from_this_stage_alone() -> None:
    running = job.Job(Task(REQUEST, (), ()))
    running.progress("Loading", 90, 100)
    assert running.status("").left is None
    running.progress("Loading", 99, 100)
    time.sleep(0.05)
    running.progress("Patching", 10, 40)
    assert running.status("").left is None
    time.sleep(0.1)
    running.progress("Patching", 20, 40)
    left = running.status("").left
    assert left is not None
    assert 0.2 <= left < 0.4  # ten steps in a tenth of a second, twenty more to go
    running.finish("done")
    assert running.status("").left is None


def test_what_was_shown_stays_after_a_cancel_and_begins_the_next_run(
    client: InProcessClient, showing: list[float]
) -> None:
    request = Request.build("showing", model=MODEL, question=hand_wired.question(0), prompt=hand_wired.SPEC)
    first = client.submit(request)
    assert client.partial(first) is None
    showing.append(1.0)
    wait_until(lambda: client.partial(first) is not None)
    partial = client.partial(first)
    assert partial is not None
    assert partial["values"].tolist() == [1.0]
    assert partial.request == request.to_json()
    assert partial.model["layers"] == 2
    assert partial.versions["showing"] == 7
    assert partial.seconds > 0
    client.cancel(first)
    assert client.wait(first, 5).state == "cancelled"
    assert client.partial(first) is partial
    second = client.submit(request)
    assert client.partial(second) is partial
    showing.extend((2.0, -1.0))
    assert client.wait(second, 30).state == "done"
    whole = client.result(second)
    assert whole["values"].tolist() == [2.0]
    assert (again := client.partial(second)) is not None
    assert again["values"].tolist() == [2.0]
    assert client.partial(first) is partial


def test_many_threads_asking_are_all_answered(client: InProcessClient, loader: Loader) -> None:
    states: list[str] = []

    def ask(right: int) -> None:
        request = Request.build(
            "prediction", model=MODEL, question=hand_wired.question(right % 4), prompt=hand_wired.SPEC
        )
        job = client.submit(request)
        states.append(client.wait(job, 30).state + client.result(job).scalars["predicted"])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == sorted(f"done{letter}" for letter in "ABCD" * 3)
    assert loader.calls == 1


def test_what_can_be_told_at_once_is_refused_at_once(client: InProcessClient) -> None:
    with pytest.raises(RequestError, match="no analysis 'attribtion'"):
        client.submit(Request.build("attribtion", question=hand_wired.question(0)))
    with pytest.raises(RequestError, match="takes questions; this request carries question"):
        client.submit(Request.build("check-model", question=hand_wired.question(0)))
    with pytest.raises(RequestError, match="no parameter 'had'"):
        client.submit(Request.build("attention", question=hand_wired.question(0), params={"had": [0, 0]}))
    with pytest.raises(RequestError, match="no job"):
        client.status("x")
    with pytest.raises(QuestionError, match="no bank 'x'"):
        client.submit(Request.from_json({"analysis": "attention", "questions": {"bank": "x"}}))
    with pytest.raises(ModelError, match="no model 'nobody'"):
        client.submit(Request.build("prediction", model=ModelSpec("nobody"), question=hand_wired.question(0)))


def test_what_goes_wrong_in_a_job_is_told_in_words(client: InProcessClient) -> None:
    out_of_range = Request.build(
        "attribution",
        model=MODEL,
        question=hand_wired.question(0),
        prompt=hand_wired.SPEC,
        params={"head": [9, 9]},
    )
    status = client.wait(client.submit(out_of_range), 30)
    assert status.state == "failed"
    assert "There is no head L9H9" in status.error
    long = Question(stem="red " * 3000, options=("red", "blue"))
    status = client.wait(client.submit(Request.build("prediction", model=MODEL, question=long)), 30)
    assert status.state == "failed"
    assert "tokens" in status.error
    assert "256" in status.error


def test_an_unexpected_error_does_not_end_the_worker(tmp_path: Path, loader: Loader) -> None:
    def surprising(spec: ModelSpec, progress: Progress, returned: int) -> Callable[[], LoadedModel]:
        if not loader.calls:
            loader.calls += 1
            raise ZeroDivisionError("surprise")
        return loader(spec, progress, returned)

    client = InProcessClient(Worker(Store(tmp_path), surprising))
    status = client.wait(client.submit(REQUEST), 30)
    assert status.state == "failed"
    assert "ZeroDivisionError: 'surprise'" in status.error
    assert client.wait(client.submit(REQUEST), 30).state == "done"


def test_a_result_is_read_where_it_is_saved_and_a_job_without_it_says_so(
    client: InProcessClient, tmp_path: Path
) -> None:
    job = client.submit(REQUEST)
    assert client.wait(job, 30).state == "done"
    assert client.result(job).scalars["predicted"] == "B"
    shutil.rmtree(tmp_path / "results")
    with pytest.raises(RequestError, match="no longer saved"):
        client.result(job)
    assert client.partial(job) is None
