"""A model does not drift from itself, a little from its bfloat16 copy, and far from another; figures by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend.analyses import Task
from backend.analyses.checks.schema import READINGS
from backend.cli import main
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import silent
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Array, Result
from backend.engine.instrument import Instrument
from backend.results.drift import drift
from backend.results.files import write
from tests import tiny

QUESTIONS = tuple(Question(f"What is {n} + 1?", (str(n), str(n + 1), "0"), 1) for n in range(1, 7))


def of_model(model: torch.nn.Module) -> Result:
    instrument = Instrument(tiny.loaded(model, tiny.tokenizer(), "tiny"))
    request = Request.build("readings", questions=QUESTIONS)
    found = READINGS.run(instrument, Task(request, QUESTIONS, tuple(() for _ in QUESTIONS)), silent)
    return Result(request.to_json(), found.arrays, found.ticks, found.scalars)


@pytest.fixture(scope="module")
def exact() -> Result:
    return of_model(tiny.tiny_model("qwen2"))


def test_a_model_does_not_drift_from_itself(exact: Result) -> None:
    found = drift(exact, of_model(tiny.tiny_model("qwen2")))
    assert found.logits_largest == found.net_largest == found.patched_largest == 0
    assert found.same_answers == 1
    assert found.net_correlation == pytest.approx(1)
    assert found.rank_correlation == pytest.approx(1)
    assert found.left == found.entered == ()
    assert found.size == "small"
    assert found.verdict.startswith("Small drift: every one of 6 answers is the same")


def test_a_bfloat16_copy_drifts_a_little(exact: Result) -> None:
    found = drift(exact, of_model(tiny.tiny_model("qwen2").to(torch.bfloat16)))
    assert 0 < found.logits_mean <= found.logits_largest < 0.5
    assert found.size != "large"
    assert 0.99 < found.net_correlation < 1
    assert found.patched_largest is not None
    assert 0 < found.patched_largest < 0.2


def test_another_model_is_far_away(exact: Result) -> None:
    found = drift(exact, of_model(tiny.tiny_model("qwen2", seed=1)))
    assert found.size == "large"
    assert "need not hold in the first" in found.verdict


def made(net: list[list[float]], predicted: list[float] | None = None, **change: object) -> Result:
    """Readings of some questions that all give the same net attribution, without patching."""
    predicted = predicted or [0.0] * 20
    count = len(predicted)
    nets = np.repeat(np.array([net], np.float32), count, axis=0)
    arrays = {
        "label_logits": Array(np.zeros((count, 2), np.float32), ("question", "label"), "logits"),
        "predicted": Array(np.array(predicted, np.float32), ("question",), "label"),
        "net": Array(nets, ("question", "layer", "head"), "logits"),
        "patched": Array(
            np.full((1, *nets.shape[1:]), np.nan, np.float32), ("patched", "layer", "head"), "l"
        ),
    }
    interval = {"value": 0.5, "low": None, "high": None}
    scalars = {"accuracy": interval, "loss": interval, "prompts": "p", "count": count, **change}
    return Result({"analysis": "readings"}, arrays, {"label": ("A", "B")}, scalars)


TWELVE = [[float(12 - head) for head in range(12)]]


def test_places_and_who_leaves_the_ten_strongest() -> None:
    other = [[*TWELVE[0][:9], 1.0, 2.0, -8.5]]
    found = drift(made(TWELVE), made(other))
    assert (found.left, found.entered) == ((HeadRef(0, 9),), (HeadRef(0, 11),))
    by_head = {each.head: each for each in found.strongest}
    assert by_head[HeadRef(0, 9)].rank == 10
    assert by_head[HeadRef(0, 9)].other_rank == 12
    assert by_head[HeadRef(0, 11)].other_rank == 5
    assert by_head[HeadRef(0, 11)].other_value == -8.5
    assert found.net_largest == pytest.approx(9.5)
    assert found.patched_correlation is found.patched_largest is None
    assert found.size == "noticeable"
    assert found.verdict.startswith("Noticeable drift: 100% of 20 answers are the same and 9 of the 10")


@pytest.mark.parametrize(("changed", "size"), [(0, "small"), (2, "noticeable"), (3, "large")])
def test_answers_decide_too(changed: int, size: str) -> None:
    predicted = [1.0] * changed + [0.0] * (20 - changed)
    found = drift(made(TWELVE), made(TWELVE, predicted))
    assert found.same_answers == pytest.approx(1 - changed / 20)
    assert found.size == size


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(RequestError, match="1 layers of 12 heads and 2 layers of 6 heads"):
        drift(made(TWELVE), made([TWELVE[0][:6], TWELVE[0][6:]]))
    with pytest.raises(RequestError, match="different prompts"):
        drift(made(TWELVE), made(TWELVE, prompts="q"))
    with pytest.raises(RequestError, match="different prompts \\(20 and 3\\)"):
        drift(made(TWELVE), made(TWELVE, [0.0] * 3, prompts="q"))
    other = made(TWELVE)
    with pytest.raises(RequestError, match="one of 'attribution'"):
        drift(other, Result({"analysis": "attribution"}, other.arrays, other.ticks, other.scalars))


def test_the_command_line_compares_two_folders(
    exact: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(exact, tmp_path)
    assert main(["drift", str(tmp_path), str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Small drift")
    assert "logits_largest\t0.0" in lines
    assert main(["drift", str(tmp_path), str(tmp_path / "none")]) == 2


def patched(values: np.ndarray[Any, np.dtype[np.float32]]) -> Array:
    return Array(values, ("patched", "layer", "head"), "logits")


def test_a_questions_own_level_does_not_count_in_patching() -> None:
    one, other = made(TWELVE), made(TWELVE)
    values = np.array([[TWELVE[0]], [[np.nan] * 12]], np.float32)
    one, other = (
        replace(result, arrays={**result.arrays, "patched": patched(values + level)})
        for result, level in ((one, np.float32(0)), (other, np.float32(5)))
    )
    found = drift(one, other)
    assert found.patched_largest == 0
    assert found.patched_correlation == pytest.approx(1)
    assert found.patched_heads == tuple(HeadRef(0, head) for head in range(12))
    assert np.median(found.patched[0]) == 0
