"""One computes at a time, and a short job passes a long one where that gives way."""

import threading

import pytest

from backend.contract.errors import Cancelled
from backend.service.baton import Baton
from tests.backend.service.serving import wait_until


def nothing() -> None:
    pass


def test_a_short_job_passes_a_long_one_only_where_it_gives_way() -> None:
    baton, order = Baton(), list[str]()

    def short() -> None:
        with baton.turn(short=True, check=nothing):
            order.append("short")

    with baton.turn(short=False, check=nothing) as let_pass:
        let_pass()  # nobody waits
        thread = threading.Thread(target=short)
        thread.start()
        wait_until(lambda: baton._short_waiting == 1)
        order.append("long")
        let_pass()
        order.append("long again")
    thread.join()
    assert order == ["long", "short", "long again"]


def test_a_short_job_lets_nobody_pass_and_goes_before_a_long_one_that_waits() -> None:
    baton, order = Baton(), list[str]()

    def wait(name: str, short: bool) -> None:
        with baton.turn(short=short, check=nothing):
            order.append(name)

    with baton.turn(short=True, check=nothing) as let_pass:
        threads = [threading.Thread(target=wait, args=(name, name == "short")) for name in ("long", "short")]
        for thread in threads:
            thread.start()
        wait_until(lambda: baton._short_waiting == 1)
        let_pass()
        order.append("first")
    for thread in threads:
        thread.join()
    assert order == ["first", "short", "long"]


def test_who_waits_can_be_stopped_and_leaves_the_baton_alone() -> None:
    baton = Baton()

    def stop() -> None:
        raise Cancelled("stopped")

    with baton.turn(short=True, check=nothing), pytest.raises(Cancelled), baton.turn(short=False, check=stop):
        pass
    stopped, held = threading.Event(), threading.Event()

    def short() -> None:
        with baton.turn(short=True, check=nothing):
            held.set()
            stopped.wait(10)

    thread = threading.Thread(target=short)

    def long() -> None:
        with baton.turn(short=False, check=lambda: stop() if held.is_set() else None) as let_pass:
            thread.start()
            wait_until(lambda: baton._short_waiting == 1)
            let_pass()

    with pytest.raises(Cancelled):  # stopped while the short one computes: what is not ours is not given back
        long()
    assert baton._held
    stopped.set()
    thread.join()
    assert not baton._held
