"""From a request to its result on a page: at once, with progress, with a button, or an error in a box."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState
from streamlit.testing.v1 import AppTest

from backend.contract.cards import JobStatus
from backend.contract.errors import ModelError, RequestError
from backend.contract.request import Request
from backend.contract.result import Result
from tests.app.fake_client import FakeClient
from tests.app.made_up import made_up
from tests.app.opened import notices


def a_page() -> None:
    import streamlit as st

    from app.backend_client import backend
    from app.components.job import result_of
    from backend.contract.question import Question
    from backend.contract.request import Request

    stem = st.session_state.get("stem", "What color is a raven?")
    question = Question(stem, ("red", "black", "white", "green"), 1)
    request = Request.build("prediction", question=question)
    result = result_of(backend(), request, "here", start=st.session_state.get("start", ""))
    st.text("done" if result else "not yet")


def opened(client: FakeClient, **state: Any) -> AppTest:
    at = AppTest.from_function(a_page, default_timeout=120)
    at.session_state["client"] = client
    for name, value in state.items():
        at.session_state[name] = value
    return at.run()


def pressed(at: AppTest, label: str) -> AppTest:
    return next(button for button in at.button if button.label == label).click().run()


class Standing(FakeClient):
    """Never done; how its jobs stand is given."""

    def __init__(self, **standing: Any) -> None:
        super().__init__(slow=True)
        self.standing = standing
        self.callers: list[str] = []

    def submit(self, request: Request, caller: str = "") -> str:
        self.callers.append(caller)
        return super().submit(request, caller)

    def status(self, job: str) -> JobStatus:
        return replace(super().status(job), **self.standing)


class Refusing(FakeClient):
    """Takes no job."""

    def submit(self, request: Request, caller: str = "") -> str:
        raise RequestError("You have 16 analyses waiting already.")


def test_a_saved_result_is_there_at_once_and_starts_nothing() -> None:
    client = FakeClient()
    at = opened(client, start="Run it")
    assert [text.value for text in at.text] == ["done"]
    assert not at.button
    assert not client.submitted


def test_a_running_job_says_how_far_it_is_and_can_be_left() -> None:
    client = Standing()
    at = opened(client)
    assert notices(at, "quiet") == ["Going through the questions · 3 of 10 · about 41 s left"]
    assert [text.value for text in at.text] == ["not yet"]
    at = pressed(at, "Cancel")
    assert client.cancelled == ["1"]
    assert notices(at, "quiet") == ["Stopped. What was finished is kept."]
    at = pressed(at, "Go on")
    assert len(client.submitted) == 2


def test_polls_do_not_draw_the_button_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fragments = {}
    for name in ("button", "progress"):
        plain = getattr(st, name)

        def noted(*args: Any, _plain: Callable[..., Any] = plain, _name: str = name, **kwargs: Any) -> Any:
            fragments[_name] = ThreadState.get().fragment_id
            return _plain(*args, **kwargs)

        monkeypatch.setattr(st, name, noted)
    opened(Standing())
    assert fragments["progress"] is not None
    assert fragments["button"] is None


def test_a_waiting_job_says_its_place() -> None:
    at = opened(
        Standing(state="queued", place=2, message="2nd in line, after attention with x", done=0, total=0)
    )
    (told,) = notices(at, "quiet")
    assert told.startswith("2nd in line, after attention with x")


def test_what_happened_on_the_way_is_one_quiet_sentence() -> None:
    note = "The model's process ended and was started again."
    assert notices(opened(Standing(note=note)), "quiet")[1:] == [note]


def test_a_result_that_could_not_be_saved_is_given_and_says_so() -> None:
    note = "A result could not be saved: No space left on device."
    at = opened(Standing(state="done", note=note))
    assert [text.value for text in at.text] == ["done"]
    assert notices(at, "quiet") == [note]


def test_with_a_button_it_waits_for_a_click() -> None:
    client = Standing()
    at = opened(client, start="Run it")
    assert not client.submitted
    at = pressed(at, "Run it")
    assert len(client.submitted) == 1
    at = at.run()
    assert len(client.submitted) == 1


def test_another_request_in_the_same_place_leaves_the_one_before() -> None:
    client = Standing()
    at = opened(client)
    at.session_state["stem"] = "What color is snow?"
    at = at.run()
    assert client.cancelled == ["1"]
    assert len(client.submitted) == 2
    assert len({*client.callers}) == 1
    assert client.callers[0]
    opened(client)
    assert len({*client.callers}) == 2


class Failing(FakeClient):
    """Its results are over the limit of their check, or hold no number."""

    def __init__(self, value: float, saved: bool) -> None:
        super().__init__()
        self.value, self.saved = value, saved

    def find(self, request: Request) -> Result | None:
        return self.result_of(request) if self.saved else None

    def status(self, job: str) -> JobStatus:
        return replace(super().status(job), state="done")

    def result(self, job: str) -> Result:
        return self.result_of(self.submitted[-1])

    def result_of(self, request: Request) -> Result:
        return replace(
            made_up(request), checks={"identity_error": (self.value, 1e-3), "oracle_error": (0.0, 1e-4)}
        )


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize(("value", "told"), [(0.5, "0.5"), (float("nan"), "nan")])
def test_a_result_that_failed_its_check_is_told_and_not_given(value: float, told: str, saved: bool) -> None:
    at = opened(Failing(value, saved))
    assert [text.value for text in at.text] == ["not yet"]
    (error,) = notices(at, "error")
    assert f"failed their check, so they are not drawn: identity error {told} (limit 0.001)." in error
    # What failed is in float32 already, so that is not the advice.
    assert error.endswith("Try another model.")


@pytest.mark.parametrize("start", ["", "Run it"])
@pytest.mark.parametrize(
    ("client", "message"),
    [
        (Refusing, "16 analyses waiting"),
        (lambda **_: FakeClient(error=ModelError("no such model")), "no such"),
    ],
)
def test_what_goes_wrong_is_told_in_a_box(
    client: Callable[..., FakeClient], message: str, start: str
) -> None:
    at = opened(client(slow=True), start=start)
    if start:
        at = pressed(at, start)
    assert not at.exception
    (told,) = notices(at, "error")
    assert message in told
    at = pressed(at, "Try again")
    assert not at.exception
    assert bool(notices(at, "error")) == (not start)
