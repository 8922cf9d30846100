"""A cancelled or killed sweep goes on where it stopped, and can be looked at before it is done."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.analyses import Findings
from backend.analyses.patching import resumable
from backend.analyses.patching.schema import PATCHING
from backend.contract.errors import Cancelled
from backend.contract.progress import silent
from backend.engine.instrument import Instrument
from backend.engine.sweep.batching import Limits
from backend.results.checkpoint import Checkpoint
from tests import hand_wired
from tests.backend.analyses.patching.test_patching import QUESTION, task

ROOT = Path(__file__).parents[4]


@pytest.mark.slow
def test_a_cancelled_sweep_goes_on_where_it_stopped(
    plain_instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engine.sweep.batching.PROCESSOR", Limits(rows=64, flops=1e6))
    prompt = plain_instrument.prompt(QUESTION, hand_wired.SPEC)
    text = {"kind": "text", "prompt": prompt.text.replace("beta", "gama")}
    checkpoint = Checkpoint(tmp_path / "unfinished" / "sweep.npz")
    unfinished = task(checkpoint, corruption=text, component="q")
    whole = PATCHING.run(plain_instrument, replace(unfinished, checkpoint=None), silent)

    def cancel_half_way(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Patching") and done > total / 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        PATCHING.run(plain_instrument, unfinished, cancel_half_way)
    known = ~np.isnan(checkpoint.load()["logits"]).any(-1)
    assert 20 < known.sum() < known.size - 20
    again = PATCHING.run(plain_instrument, unfinished, silent)
    # Equal to the last bit: the cells left go through the layers in the passes that the whole sweep has.
    assert np.array_equal(again.arrays["values"].values, whole.arrays["values"].values, equal_nan=True)
    assert again.scalars["cells_skipped"] == whole.scalars["cells_skipped"]


def test_a_cancel_while_cells_are_rechecked_keeps_them_all(
    hand_wired_instrument: Instrument, tmp_path: Path
) -> None:
    def cancel_at_the_end(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Re-checking"):
            raise Cancelled("stop")

    checkpoint = Checkpoint(tmp_path / "sweep.npz")
    with pytest.raises(Cancelled):
        PATCHING.run(hand_wired_instrument, task(checkpoint), cancel_at_the_end)
    assert not np.isnan(checkpoint.load()["logits"]).any()


def test_what_was_finished_is_shown_before_more_comes(
    hand_wired_instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "sweep.npz")
    seen: list[Findings] = []
    half = np.full((1, 2 * 4 * 32, 4), np.nan, np.float32)
    half[:, ::2] = 0
    checkpoint.save({"logits": half, "logsumexp": np.full(half.shape[:2], np.nan, np.float32)})
    monkeypatch.setattr(resumable, "SHOW_SECONDS", 1000)
    PATCHING.run(hand_wired_instrument, replace(task(checkpoint), show=seen.append), silent)
    shown, unchecked = seen
    assert np.isnan(shown.arrays["values"].values).sum() == half[..., 0].size / 2
    assert not np.isnan(unchecked.arrays["values"].values).any()  # all of it, before it is checked
    assert not unchecked.checks


def test_what_a_checkpoint_holds_is_not_computed_again(
    hand_wired_instrument: Instrument, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path / "sweep.npz")
    PATCHING.run(hand_wired_instrument, task(checkpoint), silent)
    cells = 2 * 4 * 32
    checkpoint.save(
        {"logits": np.full((1, cells, 4), 7, np.float32), "logsumexp": np.zeros((1, cells), np.float32)}
    )
    found = PATCHING.run(hand_wired_instrument, task(checkpoint), silent)
    assert (found.arrays["values"].values == 0).all()
    # ... and the oracle says so.
    assert found.checks["oracle_error"][0] > 1


KILLED = """
import os, signal, sys
from pathlib import Path
from backend.analyses.patching.schema import PATCHING
from backend.analyses.patching import resumable
from backend.engine.instrument import Instrument
from backend.engine.sweep.batching import Limits
from backend.engine.sweep import batching
from backend.results.checkpoint import Checkpoint
from tests import hand_wired
from tests.backend.analyses.patching.test_patching import task

resumable.SAVE_SECONDS, batching.PROCESSOR = 0, batching.Limits(rows=1344, flops=1)

def kill_half_way(message, done=0, total=0):
    if message.startswith("Patching") and done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint = Checkpoint(Path(sys.argv[1]))
PATCHING.run(Instrument(hand_wired.hand_wired()), task(checkpoint), kill_half_way)
"""


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_stopped(hand_wired_instrument: Instrument, tmp_path: Path) -> None:
    file = tmp_path / "sweep.npz"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    known = ~np.isnan(Checkpoint(file).load()["logits"]).any(-1)
    assert 0 < known.sum() < known.size
    begun: list[int] = []

    def note(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Patching"):
            begun.append(total)

    again = PATCHING.run(hand_wired_instrument, task(Checkpoint(file)), note)
    rows_left = begun[0]
    whole = PATCHING.run(hand_wired_instrument, task(), note)
    assert again.arrays["values"].values == pytest.approx(whole.arrays["values"].values, abs=1e-5)
    assert rows_left < 0.6 * begun[-1]


def test_unfinished_sweeps_can_be_looked_at(
    hand_wired_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable, "SHOW_SECONDS", 0)
    monkeypatch.setattr("backend.engine.sweep.batching.PROCESSOR", Limits(rows=1344, flops=1))
    seen: list[Findings] = []
    found = PATCHING.run(hand_wired_instrument, replace(task(component="z"), show=seen.append), silent)
    whole = found.arrays["values"].values
    known = [int((~np.isnan(partial.arrays["values"].values)).sum()) for partial in seen]
    assert len(known) > 5
    assert not any("engine" in partial.scalars for partial in seen)  # known when the sweep is done
    assert known == sorted(known)
    assert known[0] < whole.size == known[-1]
    middle = seen[len(seen) // 2].arrays["values"].values
    assert np.array_equal(middle[~np.isnan(middle)], whole[~np.isnan(middle)])
