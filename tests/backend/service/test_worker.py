"""The worker: jobs with progress and cancel, one model at a time, results found again without it."""

import threading
import time
from pathlib import Path

import pytest

from backend.errors import LetterheadsError, ModelError, QuestionError, RequestError
from backend.models.load import LoadedModel
from backend.progress import Progress
from backend.questions.question import Question
from backend.results.request import ModelSpec, Request
from backend.results.store import Store
from backend.service.in_process import InProcessClient
from backend.service.worker import Worker
from tests import hand_wired, tiny

MODEL = ModelSpec("qwen2.5-coder-0.5b")
REQUEST = Request.build("attribution", model=MODEL, question=hand_wired.question(1), prompt=hand_wired.SPEC)
SLOW = Request.build(
    "attention",
    model=MODEL,
    questions=tuple(hand_wired.question(n % 4) for n in range(2000)),
    prompt=hand_wired.SPEC,
)


class Loader:
    """Gives the hand-wired model under the catalogue's name, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, spec: ModelSpec, progress: Progress) -> LoadedModel:
        from dataclasses import replace

        from backend.models import resolve

        self.calls += 1
        progress("Loading")
        model = hand_wired.hand_wired()
        return replace(model, resolved=replace(model.resolved, fingerprint=resolve(spec).fingerprint))


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def client(tmp_path: Path, loader: Loader) -> InProcessClient:
    return InProcessClient(Worker(Store(tmp_path / "results"), loader))


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


def test_the_model_stays_between_jobs_and_goes_when_another_comes(
    client: InProcessClient, loader: Loader
) -> None:
    client.wait(client.submit(REQUEST), 30)
    client.wait(client.submit(Request.build("prediction", model=MODEL, question=hand_wired.question(1))), 30)
    assert loader.calls == 1
    loaded = client.loaded()
    assert loaded is not None
    assert set(loaded["checks"]) >= {"logits_error", "identity_error", "heads_error", "pattern_error"}
    other = Request.build(
        "attribution", model=ModelSpec(MODEL.name, dtype="bfloat16"), question=hand_wired.question(1)
    )
    client.wait(client.submit(other), 30)
    assert loader.calls == 2


def test_cancel_takes_effect_within_a_second_and_the_worker_goes_on(client: InProcessClient) -> None:
    client.wait(client.submit(REQUEST), 30)
    job = client.submit(SLOW)
    while client.status(job).done < 3:
        time.sleep(0.01)
    assert client.status(job).total == 2000
    begun = time.monotonic()
    client.cancel(job)
    status = client.wait(job, 5)
    assert status.state == "cancelled"
    assert time.monotonic() - begun < 1
    with pytest.raises(LetterheadsError, match="Cancelled"):
        client.result(job)
    fresh = Request.build("prediction", model=MODEL, question=hand_wired.question(3), prompt=hand_wired.SPEC)
    assert client.wait(client.submit(fresh), 30).state == "done"
    # Asked for again after a cancel it is a new job, not the cancelled one.
    assert client.submit(SLOW) == job
    assert client.status(job).state in ("queued", "running")
    client.cancel(job)


def test_a_waiting_job_can_be_cancelled_and_the_same_request_joins_it(client: InProcessClient) -> None:
    slow, waiting = client.submit(SLOW), client.submit(REQUEST)
    assert client.submit(REQUEST) == waiting
    client.cancel(waiting)
    client.cancel(slow)
    assert client.wait(waiting, 5).state == "cancelled"


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


def test_a_model_that_fails_its_self_check_is_not_used(tmp_path: Path) -> None:
    def broken(spec: ModelSpec, progress: Progress) -> LoadedModel:
        model = tiny.tiny_model("qwen2")
        model.model.norm.weight[0] = float("nan")
        return tiny.loaded(model, tiny.tokenizer(), "broken")

    client = InProcessClient(Worker(Store(tmp_path), broken))
    status = client.wait(client.submit(REQUEST), 30)
    assert status.state == "failed"
    assert "failed its self-check" in status.error
    assert client.loaded() is None


def test_an_unexpected_error_does_not_end_the_worker(tmp_path: Path, loader: Loader) -> None:
    def surprising(spec: ModelSpec, progress: Progress) -> LoadedModel:
        if not loader.calls:
            loader.calls += 1
            raise ZeroDivisionError("surprise")
        return loader(spec, progress)

    client = InProcessClient(Worker(Store(tmp_path), surprising))
    status = client.wait(client.submit(REQUEST), 30)
    assert status.state == "failed"
    assert "ZeroDivisionError: 'surprise'" in status.error
    assert client.wait(client.submit(REQUEST), 30).state == "done"
