"""The worker's model: one at a time, refused or let go without harm, and memory that runs out."""

import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from backend.analyses import ANALYSES, Analysis, Findings, Task
from backend.contract.errors import Cancelled, ModelError
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.models import RunnableModel
from backend.service.local import LocalClient
from tests import hand_wired, tiny
from tests.backend.service.serving import MODEL, REQUEST, Loader, serving, wait_until


def test_the_model_stays_between_jobs_and_goes_when_another_comes(
    client: LocalClient, loader: Loader
) -> None:
    client.wait(client.submit(REQUEST), 30)
    client.wait(client.submit(Request.build("prediction", model=MODEL, question=hand_wired.question(1))), 30)
    assert loader.calls == 1
    loaded = client.loaded()
    assert loaded is not None
    assert set(loaded.checks) >= {"logits_error", "identity_error", "heads_error", "pattern_error"}
    other = Request.build(
        "attribution", model=ModelSpec(MODEL.name, dtype="bfloat16"), question=hand_wired.question(1)
    )
    client.wait(client.submit(other), 30)
    assert loader.calls == 2


def test_a_model_that_is_refused_does_not_cost_the_one_before_it(tmp_path: Path, loader: Loader) -> None:
    counted: list[int] = []

    def choosy(spec: ModelSpec, progress: Progress, returned: int) -> Callable[[], RunnableModel]:
        counted.append(returned)
        if spec.dtype == "bfloat16":
            raise ModelError("not this one")
        return loader(spec, progress, returned)

    client = serving(tmp_path, choosy)
    client.wait(client.submit(REQUEST), 30)
    before = client.loaded()
    bad = Request.build(
        "prediction", model=ModelSpec(MODEL.name, dtype="bfloat16"), question=hand_wired.question(0)
    )
    assert client.wait(client.submit(bad), 30).error == "not this one"
    assert client.loaded() == before
    client.wait(client.submit(Request.build("prediction", model=MODEL, question=hand_wired.question(1))), 30)
    assert loader.calls == 1
    # The second is told what the first gives back: its weights and the trace that it kept.
    weights = sum(parameter.nbytes for parameter in hand_wired.hand_wired().model.parameters())
    assert counted[0] == 0
    assert weights < counted[1] < weights + 10**6


def test_memory_that_ran_out_while_a_model_was_made_ready_is_told_of_that_model(
    tmp_path: Path, loader: Loader
) -> None:
    def greedy(spec: ModelSpec, progress: Progress, returned: int) -> Callable[[], RunnableModel]:
        if spec.dtype == "bfloat16":
            torch.empty(2**60)
        return loader(spec, progress, returned)

    client = serving(tmp_path, greedy)
    client.wait(client.submit(REQUEST), 30)
    large = Request.build(
        "prediction", model=ModelSpec(MODEL.name, dtype="bfloat16"), question=hand_wired.question(0)
    )
    told = client.wait(client.submit(large), 30).error
    assert told.startswith(f"The memory ran out while {MODEL.name!r} was made ready")
    assert client.loaded() is not None


def test_a_model_that_fails_its_self_check_is_not_used(tmp_path: Path) -> None:
    def broken(spec: ModelSpec, progress: Progress, returned: int) -> Callable[[], RunnableModel]:
        model = tiny.tiny_model("qwen2")
        for parameter in model.parameters():
            parameter.zero_()
        return lambda: tiny.loaded(model, tiny.tokenizer(), "broken")

    client = serving(tmp_path, broken)
    status = client.wait(client.submit(REQUEST), 30)
    assert status.state == "failed"
    assert "failed its self-check" in status.error
    assert client.loaded() is None


def test_after_memory_ran_out_the_next_request_is_answered(
    client: LocalClient, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(instrument: Instrument, task: Task, progress: Progress) -> Findings:
        torch.empty(2**60)
        raise AssertionError

    monkeypatch.setitem(ANALYSES, "greedy", Analysis("greedy", 1, "", ("question",), greedy))
    request = Request.build("greedy", model=MODEL, question=hand_wired.question(0), prompt=hand_wired.SPEC)
    status = client.wait(client.submit(request), 30)
    assert status.state == "failed"
    assert "memory of cpu ran out in greedy" in status.error
    assert "Try a shorter prompt or fewer shots, dtype bfloat16, quantization 8bit or 4bit" in status.error
    assert client.wait(client.submit(REQUEST), 30).state == "done"
    assert loader.calls == 1


@pytest.mark.parametrize("error", [Cancelled("stopped"), torch.OutOfMemoryError("out of memory")])
def test_a_job_that_stopped_holds_nothing_that_it_had(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Otherwise a cancelled sweep would keep its activations, and the layers it was in, as long as its job is known."""
    held: list[weakref.ref[torch.Tensor]] = []

    def stopping(instrument: Instrument, task: Task, progress: Progress) -> Findings:
        activations = torch.zeros(10)
        held.append(weakref.ref(activations))
        raise type(error)(*error.args)

    monkeypatch.setitem(ANALYSES, "stopping", Analysis("stopping", 1, "", ("question",), stopping))
    request = Request.build("stopping", model=MODEL, question=hand_wired.question(0), prompt=hand_wired.SPEC)
    client.wait(client.submit(request), 30)
    wait_until(lambda: held[0]() is None, 5)


@pytest.mark.parametrize("error", [None, Cancelled("stopped")])
def test_after_a_job_no_long_traces_stay(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    """During the job its two runs stay, however large; after it the cache is within its limit."""
    monkeypatch.setattr("backend.engine.instrument.CACHED_TRACES_BYTES", 1)
    used: list[tuple[Instrument, int]] = []

    def comparing(instrument: Instrument, task: Task, progress: Progress) -> Findings:
        for last in (1, 2):
            instrument.trace((3, 4, last))
        used.append((instrument, instrument.cached_bytes()))
        if error is not None:
            raise error
        return Findings()

    monkeypatch.setitem(ANALYSES, "comparing", Analysis("comparing", 1, "", ("question",), comparing))
    request = Request.build("comparing", model=MODEL, question=hand_wired.question(0), prompt=hand_wired.SPEC)
    client.wait(client.submit(request), 30)
    ((instrument, during),) = used
    assert during > 0
    assert instrument.cached_bytes() == 0
