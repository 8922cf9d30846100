"""Patching: the hand-wired head is found, bad requests are refused, a cancelled sweep goes on where it stopped."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.analyses import PATCHING, PATCHING_COST, Findings, Task, resumable
from backend.engine.instrument import Instrument
from backend.engine.sweep.plan import Limits
from backend.errors import Cancelled, RequestError, ResourceError
from backend.progress import silent
from backend.results.checkpoint import Checkpoint
from backend.results.request import Request
from tests import hand_wired

ROOT = Path(__file__).parents[3]
QUESTION = hand_wired.question(1)
TEXT = {"kind": "text", "prompt": "pick delta\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: ("}
METRIC = {"kind": "logit_difference", "label": "B", "other": "D"}


def task(checkpoint: Checkpoint | None = None, **params: object) -> Task:
    request = Request.build(
        "patching",
        question=QUESTION,
        prompt=hand_wired.SPEC,
        params={"corruption": TEXT, "metric": METRIC, **params},
    )
    return Task(request, (QUESTION,), ((),), checkpoint)


def test_denoising_finds_the_hand_wired_heads(hand_wired_instrument: Instrument) -> None:
    found = PATCHING.run(hand_wired_instrument, task(component="z"), silent)
    recovered = found.arrays["recovered"].values
    assert found.arrays["values"].axes == ("layer", "head", "position")
    # Each of the two heads of the circuit, patched alone at the final position, brings the answer back.
    for head in (hand_wired.GATHERER, hand_wired.CORRECT_LETTER):
        assert recovered[head.layer, head.head, -1] > 0.9
    others = recovered.copy()
    others[hand_wired.GATHERER.layer, hand_wired.GATHERER.head] = 0
    others[hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head] = 0
    assert np.abs(others).max() < 0.05
    assert found.scalars["clean"] > 0 > found.scalars["corrupted"]
    assert found.scalars["first_difference"] == 2
    assert found.scalars["engine"] == "cone"
    cells = 2 * 4 * recovered.shape[2]
    assert found.scalars["cells"] == cells
    assert 0 < found.scalars["cells_skipped"] < cells
    assert found.checks["oracle_error"][0] < 1e-5


def test_noising_shows_the_same_heads_to_be_necessary(hand_wired_instrument: Instrument) -> None:
    found = PATCHING.run(
        hand_wired_instrument, task(component="z", direction="noise", positions="final"), silent
    )
    recovered = found.arrays["recovered"].values[..., 0]
    assert recovered[hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head] < 0.1
    assert recovered[1, 0] > 0.95


@pytest.mark.parametrize(
    ("component", "axes"),
    [
        ("resid_pre", ("layer", "position")),
        ("mlp_out", ("layer", "position")),
        ("k", ("layer", "kv_head", "position")),
        ("v", ("layer", "kv_head", "position")),
        ("q", ("layer", "head", "position")),
    ],
)
def test_each_component_has_its_axes(
    hand_wired_instrument: Instrument, component: str, axes: tuple[str, ...]
) -> None:
    found = PATCHING.run(hand_wired_instrument, task(component=component, positions=[2, 5]), silent)
    values = found.arrays["values"]
    assert values.axes == axes
    assert values.values.shape[-1] == 2
    assert len(found.ticks["position"]) == 2
    assert found.scalars["positions"] == [2, 5]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"corruption": {**TEXT, "prompt": "pick delta"}}, r"3 tokens, the clean one 32"),
        ({"corruption": {**TEXT, "prompt": TEXT["prompt"].replace("delta", "beta")}}, "nothing to patch"),
        ({"corruption": {"kind": "noise"}}, "no corruption 'noise'"),
        ({"corruption": {**TEXT, "seed": 1}}, "has no field 'seed'"),
        ({"corruption": {**TEXT, "draws": 3}}, "text is one prompt: there is nothing to draw 3 times"),
        (
            {"metric": {"kind": "logit_difference", "label": "Z", "other": "D"}},
            "must be one of the labels A, B, C, D",
        ),
        ({"metric": {"kind": "logit_difference", "label": "D", "other": "D"}}, "two different labels"),
        ({"metric": {"kind": "beauty"}}, "no metric 'beauty'"),
        ({"component": "zz"}, "component must be one of"),
        ({"component": ["z"]}, "component must be one of"),
        ({"direction": "sideways"}, "direction must be one of denoise, noise"),
        ({"positions": [32]}, "Position 32 is out of range: the prompt has 32 tokens"),
        ({"positions": "some"}, '"all", "final" or a list'),
        ({"budget": 5}, "must be an object with seconds and megabytes"),
        ({"budget": {"seconds": -1}}, "budget.seconds must be a number above 0, .*, not -1"),
        ({"budget": {"seconds": 10**400}}, "budget.seconds must be .* at most 1,000,000,000, not 10000"),
        ({"budget": {"megabytes": 1e305}}, r"budget.megabytes must be .*, not 1e\+305"),
        ({"corruption": {"kind": "swap_options", "draws": 0}}, "draws must be a whole number from 1 to 20"),
    ],
)
def test_bad_parameters_are_refused_by_name(
    hand_wired_instrument: Instrument, params: dict[str, object], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        PATCHING.run(hand_wired_instrument, task(**params), silent)


def test_a_cancelled_sweep_goes_on_where_it_stopped(plain_instrument: Instrument, tmp_path: Path) -> None:
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
    assert "logits" in checkpoint.load()
    again = PATCHING.run(plain_instrument, unfinished, silent)
    assert again.arrays["values"].values == pytest.approx(whole.arrays["values"].values, abs=1e-5)
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


def test_it_can_be_cancelled_while_the_prompts_are_read() -> None:
    instrument = Instrument(hand_wired.hand_wired())
    finished: list[int] = []

    def cancel(message: str, done: int = 0, total: int = 0) -> None:
        raise Cancelled("stop")

    instrument.model.register_forward_hook(lambda *_: finished.append(1))
    with pytest.raises(Cancelled):
        PATCHING.run(instrument, task(), cancel)
    assert not finished


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
    (shown,) = seen
    assert np.isnan(shown.arrays["values"].values).sum() == half[..., 0].size / 2


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
from backend.analyses import PATCHING, resumable
from backend.engine.instrument import Instrument
from backend.engine.sweep.plan import Limits
from backend.engine.sweep import plan
from backend.results.checkpoint import Checkpoint
from tests import hand_wired
from tests.backend.analyses.test_patching import task

resumable.SAVE_SECONDS, plan.PROCESSOR = 0, plan.Limits(rows=1344, flops=1)

def kill_half_way(message, done=0, total=0):
    if message.startswith("Patching") and done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint = Checkpoint(Path(sys.argv[1]))
PATCHING.run(Instrument(hand_wired.hand_wired()), task(checkpoint), kill_half_way)
"""


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
    monkeypatch.setattr("backend.engine.sweep.plan.PROCESSOR", Limits(rows=1344, flops=1))
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


def test_a_sweep_beyond_its_budget_is_refused_with_what_would_fit(hand_wired_instrument: Instrument) -> None:
    cost = PATCHING_COST.run(hand_wired_instrument, task(component="resid_pre"), silent).scalars
    assert cost["cells"] > 0
    assert cost["expected_bytes"] > 0
    half = {"seconds": cost["expected_seconds"] / 2}
    with pytest.raises(ResourceError, match=r"Positions \d+ to 31 alone would fit"):
        PATCHING.run(hand_wired_instrument, task(component="resid_pre", budget=half), silent)
    with pytest.raises(ResourceError, match="component without heads"):
        PATCHING.run(hand_wired_instrument, task(budget={"seconds": 1e-12}), silent)
    with pytest.raises(ResourceError, match="and the budget is"):
        PATCHING.run(hand_wired_instrument, task(budget={"megabytes": 1e-3}), silent)


def test_the_budget_is_for_all_draws_together(plain_instrument: Instrument) -> None:
    def asked(**params: object) -> Task:
        return task(
            **{"corruption": {"kind": "shuffle_labels", "seed": 5}, "component": "resid_pre", **params}
        )

    one = PATCHING_COST.run(plain_instrument, asked(), silent).scalars
    several = {"kind": "shuffle_labels", "seed": 5, "draws": 3}
    budget = {"seconds": 1.5 * one["expected_seconds"]}
    assert PATCHING.run(plain_instrument, asked(budget=budget), silent).scalars["cells"]
    with pytest.raises(ResourceError, match=rf"runs {2 * one['cells']:,}|{3 * one['cells']:,} cells"):
        PATCHING.run(plain_instrument, asked(budget=budget, corruption=several), silent)


def test_what_would_fit_is_told_in_positions_of_the_clean_prompt(plain_instrument: Instrument) -> None:
    longer = replace(QUESTION, stem="pick gamma, which is a longer one", answer=2)
    asked = {"corruption": {"kind": "question", "question": longer.to_json()}, "component": "resid_pre"}
    last = len(plain_instrument.prompt(QUESTION, hand_wired.SPEC).token_ids) - 1
    cost = PATCHING_COST.run(plain_instrument, task(**asked), silent).scalars
    half = {"seconds": cost["expected_seconds"] / 2}
    with pytest.raises(ResourceError, match=rf"Positions \d+ to {last} alone would fit"):
        PATCHING.run(plain_instrument, task(**asked, budget=half), silent)


def test_patterns_of_prompts_of_different_length_are_refused(plain_instrument: Instrument) -> None:
    longer = replace(QUESTION, stem="pick gamma, which is a longer one", answer=2)
    corruption = {"kind": "question", "question": longer.to_json()}
    with pytest.raises(RequestError, match="prompts of the same length only"):
        PATCHING.run(plain_instrument, task(corruption=corruption, component="pattern"), silent)


def test_several_corrupted_prompts_give_mean_and_spread(plain_instrument: Instrument) -> None:
    def patched(**corruption: object) -> Findings:
        asked = task(corruption={"kind": "shuffle_labels", **corruption}, positions="final")
        return PATCHING.run(plain_instrument, asked, silent)

    several = patched(draws=3, seed=5)
    alone = [patched(seed=seed) for seed in (5, 6, 7)]
    notes = [draw["note"] for draw in several.scalars["draws"]]
    different = {one.scalars["corruption"]: one.arrays["values"].values for one in alone}
    assert notes == list(different)
    assert len(notes) > 1
    stacked = np.stack(list(different.values()))
    assert several.arrays["values"].values == pytest.approx(stacked.mean(0), abs=1e-5)
    assert several.arrays["values_spread"].values == pytest.approx(stacked.std(0, ddof=1), abs=1e-5)


def test_what_has_no_counterpart_in_a_longer_prompt_is_left_open(plain_instrument: Instrument) -> None:
    other = {"kind": "question", "question": replace(QUESTION, stem="pick gamma", answer=2).to_json()}
    prompt = plain_instrument.prompt(QUESTION, hand_wired.SPEC)
    for direction in ("denoise", "noise"):
        found = PATCHING.run(plain_instrument, task(corruption=other, direction=direction), silent)
        open_columns = np.isnan(found.arrays["values"].values).all((0, 1))
        assert [prompt.roles[i] for i in np.flatnonzero(open_columns)] == ["stem"] * open_columns.sum()
        assert 0 < open_columns.sum() < len(prompt.roles)
        assert not np.isnan(found.arrays["values"].values[..., ~open_columns]).any()
        shape = plain_instrument.shape
        assert found.scalars["cells_unmatched"] == open_columns.sum() * shape.layers * shape.heads
        assert found.checks["oracle_error"][0] < 1e-5
