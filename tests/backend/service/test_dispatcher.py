"""Who is served when; what becomes of jobs when the host dies; a host that does what the test says."""

import time
from pathlib import Path

import numpy as np
import pytest

from backend.contract.errors import RequestError, ResourceError
from backend.results.store import Store
from backend.service import dispatcher, schedule
from backend.service.jobs import Jobs
from backend.service.messages import Died, Failed, Loaded
from backend.service.schedule import Turn, in_order
from tests.backend.service.scripted import OTHER, ScriptedHost, long, short
from tests.backend.service.serving import wait_until


@pytest.fixture
def host() -> ScriptedHost:
    return ScriptedHost()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def jobs(host: ScriptedHost, store: Store) -> Jobs:
    return Jobs(store, host)


def loaded(fingerprint: str) -> Loaded:
    names = ("name", "dtype", "quantization", "device", "family")
    sizes = dict.fromkeys(("layers", "heads", "kv_heads"), 1)
    model = {**dict.fromkeys(names, "x"), **sizes, "fingerprint": fingerprint, "checks": {}}
    return Loaded(model, {"cpu": 7})


def test_a_short_job_joins_a_long_one_and_no_second_of_either_does(jobs: Jobs, host: ScriptedHost) -> None:
    for request in (long(1), long(2), short(3), short(4)):
        jobs.submit(request)
    assert host.stems == ["pa1", "pr3"]
    assert [run.short for run in host.runs] == [False, True]
    host.end("pr3")
    assert host.stems == ["pa1", "pr3", "pr4"]
    host.end("pa1")
    assert host.stems == ["pa1", "pr3", "pr4", "pa2"]


def test_callers_are_served_in_turn(jobs: Jobs, host: ScriptedHost) -> None:
    for number in range(5):
        jobs.submit(short(number), "a")
    for number in (10, 11):
        jobs.submit(short(number), "b")
    for stem in ("pr0", "pr10", "pr1", "pr11", "pr2", "pr3"):
        assert host.stems[-1] == stem
        host.end(stem)
    assert host.stems[-1] == "pr4"


def test_one_caller_may_have_some_jobs_waiting_and_others_are_not_refused_for_it(
    jobs: Jobs, host: ScriptedHost
) -> None:
    for number in range(dispatcher.MOST_WAITING + 1):  # one of them runs
        jobs.submit(short(number), "a")
    with pytest.raises(RequestError, match="16 analyses waiting"):
        jobs.submit(short(99), "a")
    jobs.submit(short(3), "a")  # joins one of them
    jobs.submit(short(99), "b")


def test_who_waits_sees_a_place_and_what_comes_before(jobs: Jobs) -> None:
    jobs.submit(short(0), "a")
    first, second = jobs.submit(short(1), "a"), jobs.submit(short(2), "b")
    one, two = jobs.status(first.id), jobs.status(second.id)
    assert {one.place, two.place} == {1, 2}
    assert "2nd in line, after prediction with qwen2.5-coder-0.5b" in (one.message, two.message)


def test_jobs_of_the_resident_model_go_first_until_another_has_waited_long(
    jobs: Jobs, host: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.submit(short(0))
    jobs.submit(short(1, OTHER), "b")
    jobs.submit(short(2))
    jobs.submit(short(3))
    host.end("pr0")
    assert host.stems[-1] == "pr2"
    monkeypatch.setattr(schedule, "PATIENCE", 0.0)
    host.end("pr2")
    assert host.stems[-1] == "pr1"


def test_nothing_more_of_this_model_begins_once_another_is_due(
    jobs: Jobs, host: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.submit(short(0))
    jobs.submit(long(1, OTHER), "b")
    monkeypatch.setattr(schedule, "PATIENCE", 0.0)
    jobs.submit(long(2))
    assert host.stems == ["pr0"]
    host.end("pr0")
    assert host.stems == ["pr0", "pa1"]


@pytest.mark.parametrize("saved", [True, False])
def test_a_sweep_is_parked_for_a_short_job_of_another_model_where_it_would_go_on(
    jobs: Jobs, host: ScriptedHost, store: Store, monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    sweep = jobs.submit(long(0))
    host.say(loaded(sweep.job.ticket.resolved.fingerprint))
    if saved:
        store.checkpoint(sweep.job.ticket.key).save({"logits": np.zeros(1)})
    other = jobs.submit(short(1, OTHER), "b")
    assert not host.cancels
    monkeypatch.setattr(schedule, "PATIENCE", 0.05)
    if not saved:
        time.sleep(1.2)
        assert not host.cancels
        return
    wait_until(lambda: bool(host.cancels))
    host.say(Failed(host.runs[0].job, "Cancelled", ""))
    assert host.stems == ["pa0", "pr1"]
    assert jobs.status(sweep.id).state == "queued"
    assert "Set aside for a short job of another model" in jobs.status(sweep.id).message
    monkeypatch.setattr(schedule, "PATIENCE", 20.0)
    host.end("pr1")
    assert host.stems == ["pa0", "pr1", "pa0"]
    assert jobs.status(other.id).state == "failed"
    assert jobs.status(sweep.id).state == "running"


def test_after_the_host_died_a_job_is_started_again_twice_and_then_fails(
    jobs: Jobs, host: ScriptedHost
) -> None:
    sweep = jobs.submit(long(0))
    for times in (1, 2):
        host.say(Died("the system killed it"))
        assert host.stems == ["pa0"] * (times + 1)
        status = jobs.status(sweep.id)
        assert status.state == "running"
        assert status.note == "The model's process ended (the system killed it) and was started again."
    host.say(Died("the system killed it"))
    status = jobs.status(sweep.id)
    assert status.state == "failed"
    assert "ended 3 times during this job: the system killed it" in status.error
    assert "quantization 8bit or 4bit" in status.error
    with pytest.raises(ResourceError):
        jobs.result(sweep.id)
    jobs.submit(long(0))
    assert len(host.stems) == 4


def test_a_short_job_that_kills_the_host_does_not_take_the_sweep_with_it(
    jobs: Jobs, host: ScriptedHost
) -> None:
    sweep, poison = jobs.submit(long(0)), jobs.submit(short(1))
    for _ in range(3):
        host.say(Died("out of memory"))
    assert jobs.status(poison.id).state == "failed"
    assert jobs.status(sweep.id).state == "running"
    assert sweep.job.deaths == 0


def test_a_host_that_does_not_stop_is_killed_and_only_the_stopped_job_ends(
    jobs: Jobs, host: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, other = jobs.submit(long(0)), jobs.submit(short(1))
    monkeypatch.setattr(dispatcher, "OBEY_SECONDS", 0.2)
    jobs.leave(sweep.id)
    assert host.cancels == [host.runs[0].job]
    wait_until(lambda: bool(host.killed))
    host.say(Died(host.killed[0]))
    assert jobs.status(sweep.id).state == "cancelled"
    assert host.stems[-1] == "pr1"
    assert other.job.deaths == 0


def test_a_question_to_a_host_that_dies_is_taken_back(jobs: Jobs, host: ScriptedHost) -> None:
    answer = jobs.ask("shape", OTHER)
    host.say(Died("gone"))
    assert answer.cancelled()
    assert not host.runs


def test_what_the_host_holds_is_known_without_asking(jobs: Jobs, host: ScriptedHost) -> None:
    def held() -> tuple[str | None, int, int]:
        fingerprint = None if jobs.loaded is None else jobs.loaded.fingerprint
        return fingerprint, jobs.returned("cpu"), jobs.returned("cuda")

    assert held() == (None, 0, 0)
    host.say(loaded("f"))
    assert held() == ("f", 7, 0)
    host.say(Died("gone"))
    assert held() == (None, 0, 0)


def test_order_is_by_turn_model_kind_and_caller(jobs: Jobs) -> None:
    jobs.submit(long(0))
    jobs.submit(short(0))
    waiting = [
        jobs.submit(request, caller).job
        for request, caller in (
            (long(1), "a"),
            (short(2, OTHER), "b"),
            (short(3), "a"),
            (short(4), "a"),
            (short(5), "c"),
        )
    ]
    turn = Turn(waiting[0].ticket.model, time.monotonic())
    numbers = [job.ticket.task.questions[0].stem for job in in_order(waiting, turn)]
    assert numbers == [f"What is {number}?" for number in (3, 5, 4, 1, 2)]
