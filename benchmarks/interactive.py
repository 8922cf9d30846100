"""What others wait for while a sweep runs: `scripts/bench interactive [--small] [--kills N]`.

A sweep of all positions runs in the host's process. Meanwhile 50 saved views are opened, each a run of a whole page,
and some new questions are asked one after the other. Allowed: a view at the 95th percentile 0.5 s; a new question's
answer twice its time without the sweep, plus 1 s. With --kills the host's process is killed N times in the middle of
the sweep, whose numbers must equal those of one that was not disturbed.
"""

import argparse
import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from streamlit.testing.v1 import AppTest

from app.selection import select
from app.state import Chosen
from backend.contract.model import DEFAULT_MODEL
from backend.contract.request import Request
from backend.models.catalogue import SMALL_MODEL
from backend.results.store import Store
from backend.service.jobs import Jobs
from backend.service.local import LocalClient
from backend.service.process_host import ProcessHost

ROOT = Path(__file__).resolve().parents[1]
VIEWS, QUESTIONS = 50, 5
VIEW_SECONDS, ANSWER_FACTOR, ANSWER_SECONDS = 0.5, 2.0, 1.0


def main() -> None:
    """Measure, print, and end with an error where something takes longer than allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="the small model in place of the default one")
    parser.add_argument("--kills", type=int, default=0, help="kill the host's process so often in a sweep")
    options = parser.parse_args()
    os.environ["LETTERHEADS_MODEL"] = SMALL_MODEL if options.small else DEFAULT_MODEL
    with tempfile.TemporaryDirectory() as folder:
        host = ProcessHost(Path(folder))
        client = LocalClient(Jobs(Store(Path(folder)), host))
        try:
            faults = kills(client, host, options.kills) if options.kills else waits(client)
        finally:
            host.close()
    if faults:
        raise SystemExit("\n".join(faults))


def waits(client: LocalClient) -> list[str]:
    """The times of views and answers, without a sweep and with one; what took too long."""
    done(client, asked("prediction", 0, client))
    idle = [answer(client, number) for number in range(1, QUESTIONS + 1)]
    view(client)
    sweep = client.submit(asked("patching", 0, client, positions="all", budget={"seconds": 36_000}))
    while client.status(sweep).message != "Patching":
        time.sleep(0.1)
    views = [view(client) for _ in range(VIEWS)]
    busy = [answer(client, number) for number in range(QUESTIONS + 1, 2 * QUESTIONS + 1)]
    ran = not client.status(sweep).finished
    client.cancel(sweep)
    p95, allowed = float(np.percentile(views, 95)), ANSWER_FACTOR * max(idle) + ANSWER_SECONDS
    print(f"{VIEWS} saved views during a sweep: 95th percentile {p95:.2f} s (allowed {VIEW_SECONDS} s)")
    print(
        f"a new question: {spread(idle)} s alone, {spread(busy)} s during a sweep (allowed {allowed:.2f} s)"
    )
    print(f"memory of the page's process: {psutil.Process().memory_info().rss / 1e6:.0f} MB")
    return [
        text
        for text, wrong in (
            ("The sweep ended before the measurement did.", not ran),
            ("A saved view takes too long.", p95 > VIEW_SECONDS),
            ("A new question takes too long.", max(busy) > allowed),
        )
        if wrong
    ]


def kills(client: LocalClient, host: ProcessHost, times: int) -> list[str]:
    """Each of `times` sweeps is killed once in its middle and compared with one that was not."""
    different = 0
    for number in range(times):
        request = asked("patching", number, client, positions="all", component="mlp_out")
        job = client.submit(request)
        while not client.status(job).finished and client.partial(job) is None:
            time.sleep(0.05)
        if host.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(host.pid, signal.SIGKILL)
        killed = finished(client, job)
        with tempfile.TemporaryDirectory() as folder:
            undisturbed = ProcessHost(Path(folder))
            other = LocalClient(Jobs(Store(Path(folder)), undisturbed))
            whole = finished(other, other.submit(request))
            undisturbed.close()
        largest = float(np.nanmax(np.abs(killed - whole)))
        different += not np.array_equal(killed, whole, equal_nan=True)
        print(f"kill {number + 1:2d}: {client.status(job).note} Largest difference {largest:g}.", flush=True)
    return [f"{different} of {times} sweeps have other numbers."] if different else []


def asked(analysis: str, number: int, client: LocalClient, **params: object) -> Request:
    """About the question of that number of the first bank."""
    chosen = Chosen(model=os.environ["LETTERHEADS_MODEL"], item=number + 1)
    return select(chosen, client)[0].ask(analysis, **params)


def answer(client: LocalClient, number: int) -> float:
    """Seconds to the prediction of a question that was not asked before."""
    begun = time.perf_counter()
    done(client, asked("prediction", number, client))
    return time.perf_counter() - begun


def view(client: LocalClient) -> float:
    """Seconds that a run of the first page takes, whose result is saved."""
    begun = time.perf_counter()
    at = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    at.session_state["client"] = client
    at.run()
    assert at.get("plotly_chart"), "the saved result is not drawn"
    return time.perf_counter() - begun


def done(client: LocalClient, request: Request) -> None:
    """Ask and wait."""
    finished(client, client.submit(request), values=False)


def finished(client: LocalClient, job: str, values: bool = True) -> np.ndarray:
    """Wait for a job; its array `values`."""
    while not (status := client.wait(job, 1.0)).finished:
        pass
    if status.state != "done":
        raise SystemExit(status.error)
    return client.result(job)["values"] if values else np.zeros(0)


def spread(seconds: list[float]) -> str:
    """The least and the most."""
    return f"{min(seconds):.2f} to {max(seconds):.2f}"


if __name__ == "__main__":
    main()
