"""One job: what its waiters see of it, and when nobody wants it any more."""

import time

import pytest

from backend.contract.errors import ModelError
from backend.service import job
from backend.service.job import Job
from backend.service.ticket import ticket_for
from tests.backend.service.serving import REQUEST


@pytest.fixture
def some_job() -> Job:
    return Job(ticket_for(REQUEST))


def test_the_time_left_is_told_from_this_stage_alone(some_job: Job) -> None:
    waiter = some_job.join()
    some_job.progress("Loading", 90, 100)
    assert some_job.status(waiter).left is None
    some_job.progress("Loading", 99, 100)
    time.sleep(0.05)
    some_job.progress("Patching", 10, 40)
    assert some_job.status(waiter).left is None
    time.sleep(0.1)
    some_job.progress("Patching", 20, 40)
    left = some_job.status(waiter).left
    assert left is not None
    assert left >= 0.2  # ten steps in a tenth of a second or more, twenty more to go
    some_job.finish("done")
    assert some_job.status(waiter).left is None


def test_it_is_wanted_while_one_who_has_not_left_has_looked(
    some_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted() -> bool:
        return some_job.unwanted

    one, other = some_job.join(), some_job.join()
    some_job.state = "running"
    one.left = True
    assert not unwanted()
    assert some_job.status(one).state == "cancelled"
    assert some_job.status(other).state == "running"
    other.looked -= job.AWAY_QUEUED_SECONDS + 1
    assert not unwanted()
    some_job.state = "queued"
    assert unwanted()
    some_job.parked = True
    assert not unwanted()
    other.looked -= job.AWAY_SECONDS
    assert unwanted()
    other.look()
    assert not unwanted()
    other.left = True
    assert unwanted()


def test_waiting_long_is_looking(some_job: Job) -> None:
    waiter = some_job.join()
    waiter.look(3600)
    waiter.look()
    assert waiter.looked > time.monotonic() + 3000


def test_a_failed_one_tells_its_error(some_job: Job) -> None:
    waiter = some_job.join()
    some_job.finish("failed", ModelError("not this one"))
    status = some_job.status(waiter)
    assert (status.state, status.error, status.finished) == ("failed", "not this one", True)
    assert some_job.finished.is_set()
