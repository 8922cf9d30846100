"""Whether memory comes back when models are switched: `scripts/bench soak [--switches N]`.

A worker answers one question with the one model and then with the other, again and again, and once more with the first
at the end. The resident memory after each answer must end within 5 % of what the same model took after the first round
of both.
"""

import argparse
import tempfile
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

MODELS = ("smollm2-135m", SMALL_MODEL)
ALLOWED = 1.05


def main() -> None:
    """Switch and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switches", type=int, default=50)
    switches = parser.parse_args().switches
    specs = [ModelSpec(name, dtype="float32", device="cpu") for name in MODELS]
    for spec in specs:
        fetch(spec)
    resident: dict[str, list[float]] = {name: [] for name in MODELS}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        client = LocalClient(Jobs(store, ThreadHost(store)))
        for turn in range(switches + 1):
            spec = specs[turn % 2]
            begun = time.perf_counter()
            answer(client, spec, turn)
            trim_heap()  # the worker does so between jobs, but maybe after it has told that the job is done
            resident[spec.name].append(psutil.Process().memory_info().rss)
            gigabytes = resident[spec.name][-1] / 1e9
            print(
                f"{turn:3d}  {spec.name:20s} {gigabytes:6.3f} GB  {time.perf_counter() - begun:5.1f} s",
                flush=True,
            )
    print("\nmodel                    first     second    largest       last  last/second")
    for name, each in resident.items():
        numbers = "".join(f"{bytes_ / 1e9:8.3f} GB" for bytes_ in (each[0], each[1], max(each), each[-1]))
        print(f"{name:20s}{numbers} {each[-1] / each[1]:10.3f}")
    if any(each[-1] > ALLOWED * each[1] for each in resident.values()):
        raise SystemExit(f"Memory was not given back: more than {ALLOWED} times that of the second time.")


def answer(client: LocalClient, spec: ModelSpec, turn: int) -> None:
    """A new question, so that the model is needed."""
    question = Question(f"What color is raven {turn}?", ("red", "black", "white", "green"), 1)
    job = client.submit(Request.build("attribution", model=spec, question=question))
    status = client.wait(job, 600)
    if status.state != "done":
        raise SystemExit(f"{spec.name}: {status.state} {status.error}")


if __name__ == "__main__":
    main()
