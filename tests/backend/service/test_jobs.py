"""The worker's jobs: progress and cancel, what goes wrong told in words, results found again without the model."""

import errno
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
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
from backend.models import RunnableModel
from backend.service import job
from backend.service.local import LocalClient
from tests import hand_wired
from tests.backend.service.serving import MODEL, REQUEST, Loader, begun, serving, wait_until

QUESTIONS = 1000
MANY = Request.build(
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


def test_a_result_over_questions_says_how_often_each_letter_is_right(client: LocalClient) -> None:
    asked = tuple(hand_wired.question(right) for right in (0, 0, 3))
    request = Request.build("attention", model=MODEL, questions=asked, prompt=hand_wired.SPEC)
    scalars = client.result(client.wait(client.submit(request), 30).id).scalars
    assert scalars["right_letters"] == {"A": 2, "B": 0, "C": 0, "D": 1}
    assert scalars["letters_weigh_alike"] is True
    assert "right_letters" not in client.result(client.wait(client.submit(REQUEST), 30).id).scalars


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_result_that_cannot_be_saved_is_still_given(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr("backend.results.store.write", refuse)
    status = client.wait(client.submit(REQUEST), 120)
    assert (status.state, status.error) == ("done", "")
    assert client.result(status.id).scalars["predicted"] == "B"
    assert client.find(REQUEST) is None
    assert "could not be saved" in caplog.text
    assert "could not be saved" in status.note


def test_a_job_runs_and_its_result_is_found_again_after_a_restart(
    client: LocalClient, loader: Loader, tmp_path: Path
) -> None:
    assert client.find(REQUEST) is None
    status = client.wait(client.submit(REQUEST), 120)
    assert (status.state, status.error) == ("done", "")
    result = client.result(status.id)
    assert result.scalars["predicted"] == "B"
    assert result.model["layers"] == 2
    assert result.checks["identity_error"][0] < 1e-3
    second = serving(tmp_path / "results", loader)
    found = second.find(REQUEST)
    assert found is not None
    assert (found["heads"] == result["heads"]).all()
    assert found.scalars == result.scalars
    assert loader.calls == 1
    assert second.loaded() is None


def test_the_same_numbers_are_one_entry_whatever_the_request_calls_them(client: LocalClient) -> None:
    client.wait(client.submit(REQUEST), 120)
    spelled_out = replace(REQUEST, model=ModelSpec(MODEL.name, dtype=client.resolve(MODEL).dtype))
    assert client.find(spelled_out) is not None
    other = replace(REQUEST, question=hand_wired.question(2))
    assert client.find(other) is None


@pytest.mark.slow
def test_cancel_takes_effect_on_the_way_and_the_worker_goes_on(client: LocalClient) -> None:
    client.wait(client.submit(REQUEST), 120)
    job = begun(client, MANY, 3)
    assert client.status(job).total == QUESTIONS
    client.cancel(job)
    status = client.wait(job, 120)
    assert status.state == "cancelled"
    assert status.done < QUESTIONS
    with pytest.raises(LetterheadsError, match="Cancelled"):
        client.result(job)
    fresh = Request.build("prediction", model=MODEL, question=hand_wired.question(3), prompt=hand_wired.SPEC)
    assert client.wait(client.submit(fresh), 120).state == "done"
    # Asked for again after a cancel it is a new job, not the cancelled one.
    again = client.submit(MANY)
    assert client.status(again).state in ("queued", "running")
    client.cancel(again)


def test_a_waiting_job_can_be_cancelled(client: LocalClient, endless: Request) -> None:
    slow, waiting = client.submit(endless), client.submit(REQUEST)
    client.cancel(waiting)
    client.cancel(slow)
    assert client.wait(waiting, 120).state == client.wait(slow, 120).state == "cancelled"


def test_a_job_that_two_wait_for_stops_when_both_have_left(client: LocalClient, endless: Request) -> None:
    one = begun(client, endless, 3)
    other = client.submit(endless)
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
    back = client.submit(endless)
    assert client.status(back).done > far
    client.cancel(other)
    client.cancel(back)
    assert client.wait(other, 120).state == "cancelled"


def test_who_leaves_takes_nothing_from_one_who_does_not_look_just_now(
    client: LocalClient, endless: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping_laptop = begun(client, endless, 3)
    other = client.submit(endless)
    client.cancel(other)
    time.sleep(1.5)  # longer than leases are looked after
    assert client.status(sleeping_laptop).state == "running"
    monkeypatch.setattr(job, "AWAY_SECONDS", 0.3)
    running = client._jobs.waiter(sleeping_laptop).job
    assert running.finished.wait(120)  # nobody has looked for a long time: it ends
    assert client.status(sleeping_laptop).state == "cancelled"


def test_a_queued_job_that_nobody_looks_at_is_dropped(
    client: LocalClient, endless: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = begun(client, endless, 3)
    closed_tab = client.submit(MANY)
    assert client.status(closed_tab).state == "queued"
    monkeypatch.setattr(job, "AWAY_QUEUED_SECONDS", 0.3)
    assert client._jobs.waiter(closed_tab).job.finished.wait(120)
    assert client.status(slow).state == "running"
    client.cancel(slow)
    assert client.wait(slow, 120).state == "cancelled"


def test_what_was_shown_stays_after_a_cancel_and_begins_the_next_run(
    client: LocalClient, showing: list[float]
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
    assert client.wait(first, 120).state == "cancelled"
    assert client.partial(first) is partial
    second = client.submit(request)
    assert client.partial(second) is partial
    showing.extend((2.0, -1.0))
    assert client.wait(second, 120).state == "done"
    whole = client.result(second)
    assert whole["values"].tolist() == [2.0]
    assert (again := client.partial(second)) is not None
    assert again["values"].tolist() == [2.0]
    assert client.partial(first) is partial


def test_many_threads_asking_are_all_answered(client: LocalClient, loader: Loader) -> None:
    states: list[str] = []

    def ask(right: int) -> None:
        request = Request.build(
            "prediction", model=MODEL, question=hand_wired.question(right % 4), prompt=hand_wired.SPEC
        )
        job = client.submit(request)
        states.append(client.wait(job, 120).state + client.result(job).scalars["predicted"])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == sorted(f"done{letter}" for letter in "ABCD" * 3)
    assert loader.calls == 1


def test_what_can_be_told_at_once_is_refused_at_once(client: LocalClient) -> None:
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


def test_what_goes_wrong_in_a_job_is_told_in_words(client: LocalClient) -> None:
    out_of_range = Request.build(
        "attribution",
        model=MODEL,
        question=hand_wired.question(0),
        prompt=hand_wired.SPEC,
        params={"head": [9, 9]},
    )
    status = client.wait(client.submit(out_of_range), 120)
    assert status.state == "failed"
    assert "There is no head L9H9" in status.error
    long = Question(stem="red " * 3000, options=("red", "blue"))
    status = client.wait(client.submit(Request.build("prediction", model=MODEL, question=long)), 120)
    assert status.state == "failed"
    assert "tokens" in status.error
    assert "256" in status.error


def test_an_unexpected_error_does_not_end_the_worker(tmp_path: Path, loader: Loader) -> None:
    def surprising(spec: ModelSpec, progress: Progress, returned: int) -> Callable[[], RunnableModel]:
        if not loader.calls:
            loader.calls += 1
            raise ZeroDivisionError("surprise")
        return loader(spec, progress, returned)

    client = serving(tmp_path, surprising)
    status = client.wait(client.submit(REQUEST), 120)
    assert status.state == "failed"
    assert "ZeroDivisionError: 'surprise'" in status.error
    assert client.wait(client.submit(REQUEST), 120).state == "done"


def test_a_result_is_read_where_it_is_saved_and_a_job_without_it_says_so(
    client: LocalClient, tmp_path: Path
) -> None:
    job = client.submit(REQUEST)
    assert client.wait(job, 120).state == "done"
    assert client.result(job).scalars["predicted"] == "B"
    shutil.rmtree(tmp_path / "results")
    with pytest.raises(RequestError, match="no longer saved"):
        client.result(job)
    assert client.partial(job) is None
