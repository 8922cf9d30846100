"""A host in a process of its own: it may be killed, hang or lose its parent, and nobody sees more than a sentence."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from backend.contract.errors import ModelError
from backend.contract.model import ModelSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.results.store import Store
from backend.service import process_host
from backend.service.jobs import Jobs
from backend.service.local import LocalClient
from backend.service.messages import Died, FromHost
from backend.service.process_host import ProcessHost
from tests import tiny
from tests.backend.service.serving import serving, wait_until

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow  # each starts a process that loads torch and a model
LEAVING = """
import sys, time
from backend.service.process_host import ProcessHost
from pathlib import Path
host = ProcessHost(Path(sys.argv[1]))
host.start()
print(host.pid, flush=True)
sys.stdin.read()
"""
SECONDS = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model as a folder on the disk, small, but with enough heads for a sweep of some seconds."""
    path = tmp_path_factory.mktemp("model")
    sizes = {"num_hidden_layers": 16, "num_attention_heads": 8, "max_position_embeddings": 1024}
    torch.manual_seed(0)
    config = AutoConfig.for_model("qwen2", **{**tiny.SIZES, **tiny.FAMILY_CONFIGS["qwen2"], **sizes})
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    tiny.tokenizer().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def host(results: Path) -> Iterator[ProcessHost]:
    """One for all tests, since each start takes seconds."""
    host = ProcessHost(results)
    yield host
    host.close()


@pytest.fixture(scope="module")
def client(host: ProcessHost, results: Path) -> LocalClient:
    return LocalClient(Jobs(Store(results), host))


def asked(analysis: str, folder: Path, **params: object) -> Request:
    model = ModelSpec(str(folder), "float32", device="cpu")
    question = Question("What is red?", ("tea", "sun", "fig", "oak"), 1)
    return Request.build(analysis, model=model, question=question, params=params)


def sweep(folder: Path, component: str = "z") -> Request:
    """So little memory that it takes several passes, and some seconds."""
    return asked("patching", folder, component=component, budget={"megabytes": 75})


def under_way(client: LocalClient, request: Request) -> str:
    """The job, some of its cells known."""
    job = client.submit(request)

    def known() -> bool:
        status, partial = client.status(job), client.partial(job)
        assert not status.finished, status
        return partial is not None and bool(np.isfinite(partial["values"]).any())

    wait_until(known, SECONDS)
    return job


def test_a_sweep_that_was_passed_and_killed_ends_with_the_same_numbers(
    folder: Path, host: ProcessHost, client: LocalClient, tmp_path: Path
) -> None:
    job = under_way(client, sweep(folder))
    passing = client.submit(asked("attention", folder, head=[0, 1]))
    assert client.wait(passing, SECONDS).state == "done"
    assert not client.status(job).finished  # it was passed
    before = host.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: bool(client.status(job).note), SECONDS)
    assert "the system killed it, as it does when memory runs out" in client.status(job).note
    status = client.wait(job, SECONDS)
    assert (status.state, status.error) == ("done", "")
    assert host.pid not in (None, before)
    reference = serving(tmp_path / "reference")
    alone = reference.submit(sweep(folder))
    assert reference.wait(alone, SECONDS).state == "done"
    assert (client.result(job)["values"] == reference.result(alone)["values"]).all()


def test_a_process_that_hangs_is_started_again(
    folder: Path, host: ProcessHost, client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_host, "SILENCE_SECONDS", 6.0)
    job = under_way(client, sweep(folder, "k"))
    assert host.pid is not None
    os.kill(host.pid, signal.SIGSTOP)
    wait_until(lambda: bool(client.status(job).note), SECONDS)
    assert "it said nothing for 6 s" in client.status(job).note
    client.cancel(job)
    assert client.wait(job, 30).state == "cancelled"


def test_a_folder_is_hashed_by_the_host_and_its_errors_cross(folder: Path, tmp_path: Path) -> None:
    host = ProcessHost(tmp_path / "results")  # its home is that of this test
    client = LocalClient(Jobs(Store(tmp_path / "results"), host))
    request = asked("prediction", folder)
    assert client.find(request) is None
    job = client.submit(request)
    assert client._jobs.waiter(job).job.ticket.key == ""
    assert client.wait(job, SECONDS).state == "done"
    assert client.find(request) is not None
    assert client.loaded() is not None
    resolved = client.resolve(request.model)
    wait_until(lambda: client.resolve(request.model).shape is not None, SECONDS)
    assert resolved.resident
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    config = (broken / "config.json").read_text(encoding="utf-8")
    (broken / "config.json").write_text(config.replace('"num_hidden_layers": 16', '"num_hidden_layers": 17'))
    job = client.submit(asked("prediction", broken))
    status = client.wait(job, SECONDS)
    assert "cannot be loaded" in status.error
    with pytest.raises(ModelError):
        client.result(job)
    host.close()


@pytest.mark.parametrize("killed", [False, True])
def test_it_ends_with_its_parent(tmp_path: Path, killed: bool) -> None:
    command = [sys.executable, "-c", LEAVING, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        assert psutil.pid_exists(number)
        if killed:
            parent.kill()
    wait_until(lambda: not psutil.pid_exists(number), 20)


def test_a_message_that_cannot_be_used_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable(stream: object) -> None:
        raise KeyError("kind")

    monkeypatch.setattr(process_host, "receive", unusable)
    host, heard = ProcessHost(tmp_path), list[FromHost]()
    host.listen(heard.append)
    host.start()
    wait_until(lambda: bool(heard), 20)
    host.close()
    assert heard == [Died("it sent what could not be used")]
