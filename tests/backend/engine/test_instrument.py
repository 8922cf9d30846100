"""What an instrument keeps of the prompts it ran, counted in bytes, and what it refuses to start."""

from typing import Any

import numpy as np
import pytest
import torch

from backend.analyses import ANALYSES, Task
from backend.contract.errors import RequestError, ResourceError
from backend.contract.progress import silent
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine import instrument as module
from backend.engine.instrument import Instrument
from backend.engine.trace import KEYS, trace_bytes
from tests import tiny

IDS = tuple(range(40, 70))
QUESTION = Question("What is 1 + 1?", ("1", "2", "3"), answer=1)
PARTS = ("resid_pre", "attn_out", "mlp_out", "z", "q", "k", "v", "q_rotated", "k_rotated", "resid_final")


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache in which no trace of all positions may stay."""
    monkeypatch.setattr(module, "CACHED_TRACES_BYTES", 1)


def fresh(name: str) -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model(name), tiny.tokenizer(), name))


@pytest.mark.parametrize("name", sorted(tiny.FAMILY_CONFIGS))
def test_a_final_trace_is_the_end_of_the_whole_one(name: str, little: None) -> None:
    instrument = fresh(name)
    final = instrument.final_trace(IDS)
    whole = instrument.trace(IDS)
    assert instrument.final_trace(IDS) is whole, "a whole one serves too"
    assert final.positions == whole.positions == len(IDS)
    for part in PARTS:
        mine, theirs = getattr(final, part), getattr(whole, part)
        axis = 2 if part.endswith("_rotated") else 0 if part == "resid_final" else 1
        kept = len(IDS) if part in KEYS else 1
        torch.testing.assert_close(mine, theirs.narrow(axis, len(IDS) - kept, kept), rtol=0, atol=0)
    torch.testing.assert_close(final.logits, whole.logits, rtol=0, atol=0)
    # Beside what has no position: the logits, and the residual stream at the end.
    ends = final.resid_final.nbytes + 2 * final.logits.nbytes
    assert final.nbytes - ends == trace_bytes(instrument.shape, len(IDS), final=True)
    assert final.nbytes < whole.nbytes / 2


@pytest.mark.parametrize("name", ["qwen2", "gemma2", "qwen2_moe", "gpt2", "phi"])
@pytest.mark.parametrize("analysis", ["prediction", "attribution", "attention"])
@pytest.mark.parametrize("several", [False, True])
def test_numbers_do_not_hang_on_the_kind_of_trace(
    name: str, analysis: str, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if several and analysis == "prediction":
        return
    about: dict[str, Any] = {"questions": (QUESTION, QUESTION)} if several else {"question": QUESTION}
    task = Task(Request.build(analysis, **about), (QUESTION,) * (1 + several), ((),) * (1 + several))
    long, short = fresh(name), fresh(name)
    expected = ANALYSES[analysis].run(short, task, silent)
    monkeypatch.setattr(module, "CACHED_TRACES_BYTES", 1)
    found = ANALYSES[analysis].run(long, task, silent)
    assert found.scalars == expected.scalars
    for key, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[key].values, array.values, key)
    assert long.cached_bytes() < short.cached_bytes() / 2


def test_a_whole_pattern_has_a_trace_of_all_positions(little: None, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request.build("attention", question=QUESTION, params={"head": [1, 2]})
    task = Task(request, (QUESTION,), ((),))
    found = ANALYSES["attention"].run(fresh("qwen2"), task, silent)
    np.testing.assert_allclose(found.arrays["pattern"].values.sum(-1), 1, atol=1e-5)
    monkeypatch.setattr("backend.analyses.attention.attention.PATTERN_TOKENS", 5)
    with pytest.raises(RequestError, match=r"pattern of L1H2 over \d+ tokens is too large to be drawn"):
        ANALYSES["attention"].run(fresh("qwen2"), task, silent)


def test_a_short_prompt_has_one_trace_for_all() -> None:
    instrument = fresh("qwen2")
    assert instrument.final_trace(IDS) is instrument.trace(IDS)


def test_after_a_job_the_cache_is_within_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one runs, its two runs stay whatever they take."""
    instrument = fresh("qwen2")
    one = instrument.trace(IDS).nbytes
    monkeypatch.setattr(module, "CACHED_TRACES_BYTES", int(1.5 * one))
    for last in range(3):
        instrument.trace((*IDS[:-1], last))
    assert instrument.cached_bytes() == 2 * one
    assert instrument.between_jobs()
    assert instrument.cached_bytes() == one
    assert not instrument.between_jobs()
    monkeypatch.setattr(module, "CACHED_TRACES_BYTES", one - 1)
    assert instrument.between_jobs()
    assert instrument.cached_bytes() == 0


def test_what_does_not_fit_is_refused_before_it_is_begun(
    little: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    instrument = fresh("qwen2")
    instrument.trace(IDS[:-1])
    kept = instrument.cached_bytes()
    asked: list[str] = []

    def free(device: str) -> int:
        asked.append(device)
        return 0

    monkeypatch.setattr(module, "available_memory", free)
    monkeypatch.setattr(module, "PASS_FACTOR", 10**6)
    with pytest.raises(
        ResourceError, match=r"record all positions of a prompt of 30 tokens takes about .* GB"
    ):
        instrument.trace(IDS)
    with pytest.raises(ResourceError, match=r"record the final position of .* Take a shorter prompt"):
        instrument.final_trace(IDS)
    assert asked == ["cpu", "cpu"]
    assert instrument.cached_bytes() == kept
