"""From a request to its result: at once where it is saved, otherwise a job with progress and cancel."""

import streamlit as st

from app.components.notice import error_box, quiet
from backend.errors import Cancelled, LetterheadsError
from backend.results.request import Request
from backend.results.result import Result
from backend.service.client import Client, JobStatus

# A short job is waited for, so that its result appears without the flicker of a progress bar.
PATIENCE = 0.4
POLL = 0.3


def result_of(client: Client, request: Request, place: str) -> Result | None:
    """The result, or None while there is none; then progress, the error or a button to start again is shown.

    Each `place` on the pages has one job at a time: a new request there cancels the one it replaces.
    """
    try:
        saved = client.find(request)
        if saved is not None:
            return saved
        job = _job(client, request, place)
        if client.wait(job, PATIENCE).finished:
            return client.result(job)
    except Cancelled:
        quiet("Stopped.", f"stopped {place}")
        st.button("Start again", key=f"again {place}", on_click=_forget, args=(place,))
    except LetterheadsError as error:
        error_box(error, f"failed {place}")
        st.button("Try again", key=f"again {place}", on_click=_forget, args=(place,))
    else:
        _progress(client, job, place)
    return None


def _job(client: Client, request: Request, place: str) -> str:
    """The job that runs `request` for this place, started if need be."""
    jobs: dict[str, tuple[str, str]] = st.session_state.setdefault("jobs", {})
    wanted = request.canonical()
    asked, job = jobs.get(place, ("", ""))
    if asked != wanted:
        if asked:
            client.cancel(job)
        job = client.submit(request)
        jobs[place] = (wanted, job)
    return job


def _forget(place: str) -> None:
    del st.session_state["jobs"][place]


@st.fragment(run_every=POLL)
def _progress(client: Client, job: str, place: str) -> None:
    status = client.status(job)
    if status.finished:
        st.rerun()
    st.progress(min(1.0, status.done / status.total) if status.total else 0.0)
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        quiet(_how_far(status), f"progress {place}")
    right.button("Cancel", key=f"cancel {place}", on_click=client.cancel, args=(job,), width="stretch")


def _how_far(status: JobStatus) -> str:
    message = status.message or ("Waiting for the job before it" if status.state == "queued" else "Working")
    return " · ".join([message, *_steps(status.done, status.total), f"{status.seconds:.0f} s"])


def _steps(done: int, total: int) -> list[str]:
    """How many steps of how many; so many can only be bytes."""
    if not total:
        return []
    return [f"{done / 1e9:.2f} of {total / 1e9:.2f} GB" if total > 10**7 else f"{done} of {total}"]
