"""What long prompts leave in memory: `scripts/bench long [--tokens N ...] [--analysis NAME ...] [--questions N]`.

A worker answers questions of so many tokens, each another one, and the resident memory is read after each answer and at
its peak. After the last it must be at most `ALLOWED` more than after a short question at the beginning.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import psutil

from backend.contract.model import ModelSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.models import fetch
from backend.models.catalogue import SMALL_MODEL
from backend.models.memory import trim_heap
from backend.results.store import Store
from backend.service.jobs import Jobs
from backend.service.local import LocalClient
from backend.service.thread_host import ThreadHost

ALLOWED = 700 * 2**20
"""Bytes: what traces may stay in the cache for the next question, and what allocators keep."""
WORDS = "The house by the river has a red door and"


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2000])
    parser.add_argument("--analysis", nargs="+", default=["prediction", "attribution", "attention"])
    parser.add_argument("--questions", type=int, default=2)
    options = parser.parse_args()
    spec = ModelSpec(SMALL_MODEL, dtype="float32", device="cpu")
    fetch(spec)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        client = LocalClient(Jobs(store, ThreadHost(store)))
        answer(client, spec, "attribution", question(60, 0))
        begun = settled()
        print(
            f"after a short question: {begun / 1e9:.2f} GB\n\ntokens  analysis      seconds  peak, GB  after, GB"
        )
        for tokens in options.tokens:
            for number in range(options.questions):
                for analysis in options.analysis:
                    since, peak = time.perf_counter(), Peak()
                    answer(client, spec, analysis, question(tokens, number))
                    seconds, most = time.perf_counter() - since, peak.end()
                    print(
                        f"{tokens:6d}  {analysis:20s} {seconds:6.1f} {most / 1e9:9.2f} {settled() / 1e9:9.2f}",
                        flush=True,
                    )
    if settled() > begun + ALLOWED:
        raise SystemExit("Memory was not given back.")


def question(tokens: int, number: int) -> Question:
    """About so many tokens long."""
    text = " ".join([WORDS] * (tokens // 11 + 1)).split(" ")[: max(1, tokens - 60)]
    return Question(f"{number}: {' '.join(text)} a roof. What color?", ("red", "black", "white", "green"), 0)


def answer(client: LocalClient, spec: ModelSpec, analysis: str, asked: Question) -> None:
    status = client.wait(client.submit(Request.build(analysis, model=spec, question=asked)), 3600)
    if status.state != "done":
        raise SystemExit(f"{analysis}: {status.state} {status.error}")


def settled() -> int:
    """Resident bytes once the worker has given back what it can, which it may do after it has told of the job's end."""
    time.sleep(1)
    trim_heap()
    return int(psutil.Process().memory_info().rss)


class Peak:
    """The most resident memory, read every 20 ms."""

    def __init__(self) -> None:
        self._most, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._over.wait(0.02):
            self._most = max(self._most, process.memory_info().rss)

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self._most


if __name__ == "__main__":
    main()
