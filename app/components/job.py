"""From a request to its result: at once where it is saved, otherwise a job with progress and cancel."""

import time
from collections.abc import Callable
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.backend_client import backend, caller
from app.components.notice import error_box, quiet
from backend.contract.cards import JobStatus
from backend.contract.client import Client
from backend.contract.errors import Cancelled, LetterheadsError, ModelError
from backend.contract.request import Request
from backend.contract.result import Result

# A short job is waited for, so that its result appears without the flicker of a progress bar.
PATIENCE = 0.4
POLL = 0.3
# A poll that begins right after a run of the whole page makes Streamlit drop what that run drew of the job and did not
# yet send; the browser then takes the picture for gone and draws it anew a moment later. So there is time to send it.
SEND = 0.1
# Room for a button beside two short lines.
ROW_HEIGHT = 58

Draw = Callable[[Result | None, bool], None]


def result_of(
    client: Client, request: Request, place: str, *, draw: Draw | None = None, start: str = ""
) -> Result | None:
    """The result, or None while there is none; then progress, the error or a button to start again is shown.

    Each `place` on the pages has one job at a time: a new request there leaves the one it replaces. With `draw`
    there is one picture in one place from the beginning to the end: it is given what is known so far (None: nothing)
    and whether that is the whole result. With `start`, the text of a button, the job waits for a click on it.
    """
    if (
        start
        and _under_way(client, request, place) is None
        and not _is_wanted(request, place)
        and client.find(request) is None
    ):
        with st.container():
            _row(draw).button(start, type="primary", on_click=_want, args=(request, place))
            _picture(draw, None, complete=False)
        return None
    answer = answer_of(client, request, place, draw)
    if answer is None:
        return None
    with st.container():
        if isinstance(answer, Result):
            if draw is not None:
                with _row(draw):
                    quiet(f"Complete. Computed in {duration(answer.seconds)}.", f"complete {place}")
            _picture(draw, answer, complete=True)
            return answer
        _show_end(answer, client, request, place, draw)
        job = _under_way(client, request, place)
        _picture(draw, None if job is None else client.partial(job), complete=False)
    return None


def _picture(draw: Draw | None, known: Result | None, *, complete: bool) -> None:
    """Draw where `_follow_picture` draws: a fragment is a container too, so that the picture stays the same one."""
    if draw is not None:
        with st.container():
            draw(known, complete)


def answer_of(
    client: Client, request: Request, place: str, draw: Draw | None = None
) -> Result | LetterheadsError | None:
    """As `result_of`, for what a page can do without: an error is returned and not shown.

    A result that failed its check is an error too.
    """
    st.session_state.setdefault("looked at", set()).add(place)
    try:
        started = _under_way(client, request, place)
        saved = client.find(request)
        if saved is not None:
            return _checked(saved)
        if started is None:
            _begin(client, request, place)
        _, job = st.session_state["jobs"][place]
        status = client.wait(job, PATIENCE)
        if status.finished:
            if status.note:
                quiet(status.note, f"note {place}")
            return _checked(client.result(job))
    except LetterheadsError as error:
        return error
    address = dict(st.query_params)
    with st.container():
        with _row(draw):
            with st.container():
                _follow(client, job, place, address, draw is None)
            # No part of what polls draw: that may be taken away for a moment, and a click in that moment would be lost.
            st.button("Cancel", key=f"cancel {place}", on_click=client.cancel, args=(job,))
        if draw is not None:
            _follow_picture(client, job, place, address, draw)
    time.sleep(SEND)
    return None


def _checked(result: Result) -> Result | LetterheadsError:
    failed = result.failed()
    if not failed:
        return result
    exact = (result.model["dtype"], result.model["quantization"]) == ("float32", "none")
    return ModelError(
        f"The numbers of {result.request['analysis']} failed their check, so they are not drawn: {failed}. Try "
        f"{'another model' if exact else 'dtype float32 without quantization, or another model'}."
    )


def begin_run() -> None:
    """To be called before a page is drawn: nothing has been looked at yet."""
    st.session_state["looked at"] = set()


def leave_the_rest() -> None:
    """To be called once a page is drawn as far as it goes: leave all jobs that it did not look at."""
    jobs: dict[str, tuple[str, str]] = st.session_state.get("jobs", {})
    for place in jobs.keys() - st.session_state["looked at"]:
        backend().cancel(jobs[place][1])
        _forget(place)


def _under_way(client: Client, request: Request, place: str) -> str | None:
    """The job that runs `request` for this place, if it was started; one of another request is left."""
    jobs: dict[str, tuple[str, str]] = st.session_state.setdefault("jobs", {})
    asked, job = jobs.get(place, ("", ""))
    if asked == request.canonical():
        return job
    if asked:
        del jobs[place]
        client.cancel(job)
    return None


def _begin(client: Client, request: Request, place: str) -> None:
    st.session_state["jobs"][place] = (request.canonical(), client.submit(request, caller()))
    st.session_state.get("wanted", {}).pop(place, None)


def _want(request: Request, place: str) -> None:
    """A click asks for it; the run after the click submits it, which can show why it was refused."""
    _forget(place)
    st.session_state.setdefault("wanted", {})[place] = request.canonical()


def _is_wanted(request: Request, place: str) -> bool:
    return bool(st.session_state.get("wanted", {}).get(place) == request.canonical())


def _forget(place: str) -> None:
    for known in ("jobs", "wanted"):
        st.session_state.get(known, {}).pop(place, None)


@st.fragment(run_every=POLL)
def _follow(client: Client, job: str, place: str, address: dict[str, str], noted: bool) -> None:
    """How far the job is, and where `noted` what happened on the way."""
    status = _status(client, job, address)
    st.progress(min(1.0, status.done / status.total) if status.total else 0.0)
    quiet(_how_far(status), f"progress {place}")
    if noted and status.note:
        quiet(status.note, f"note {place}")


@st.fragment(run_every=POLL)
def _follow_picture(client: Client, job: str, place: str, address: dict[str, str], draw: Draw) -> None:
    """The picture of what is known so far, and what happened on the way."""
    status = _status(client, job, address)
    if status.note:
        quiet(status.note, f"note {place}")
    draw(client.partial(job), False)


def _status(client: Client, job: str, address: dict[str, str]) -> JobStatus:
    """How a job stands; the page is run again once the job is finished."""
    status = client.status(job)
    # A click in the picture may have changed the address, which the whole page is about.
    if status.finished or dict(st.query_params) != address:
        st.rerun()
    return status


def _show_end(
    error: LetterheadsError, client: Client, request: Request, place: str, draw: Draw | None
) -> None:
    """What ended a job without a result, and a way on. A long job goes on where it stopped."""
    if isinstance(error, Cancelled):
        with _row(draw):
            st.button("Go on", key=f"again {place}", on_click=_want, args=(request, place))
            quiet("Stopped. What was finished is kept.", f"stopped {place}")
        return
    error_box(error, f"failed {place}")
    st.button("Try again", key=f"again {place}", on_click=_forget, args=(place,))


def _row(draw: Draw | None) -> DeltaGenerator:
    """Where it says how far the job is; always as high where there is a picture below, which should stay in place."""
    height: Literal["content"] | int = "content" if draw is None else ROW_HEIGHT
    return st.container(horizontal=True, vertical_alignment="center", wrap=False, height=height, border=False)


def _how_far(status: JobStatus) -> str:
    message = status.message or ("Waiting for the job before it" if status.state == "queued" else "Working")
    left = (
        f"about {duration(max(1.0, status.left))} left"
        if status.left is not None
        else duration(status.seconds)
    )
    return " · ".join([message, *_steps(status.done, status.total), left])


def _steps(done: int, total: int) -> list[str]:
    """How many steps of how many; so many can only be bytes, or rows of a large computation, which say nothing."""
    if not total:
        return []
    return [f"{done / total:.0%}" if total > 300 else f"{done} of {total}"]


def duration(seconds: float) -> str:
    """In the unit that says it in one or two digits.

    >>> duration(0.26), duration(41), duration(130)
    ('0.3 s', '41 s', '2 min')
    """
    if seconds < 100:
        return f"{seconds:.{1 if seconds < 1 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
