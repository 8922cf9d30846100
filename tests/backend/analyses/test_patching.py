"""Patching: the hand-wired head is found, bad requests are refused, a cancelled sweep goes on where it stopped."""

import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.analyses import PATCHING, PATCHING_COST, Findings, Task, resumable
from backend.analyses.budget import spoken
from backend.analyses.corruptions import Clean, Corrupted, corrupted
from backend.engine.instrument import Instrument
from backend.engine.sweep.plan import Limits
from backend.errors import Cancelled, RequestError, ResourceError
from backend.models.memory import megabytes
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


LONGER = {
    "kind": "question",
    "question": replace(QUESTION, stem="pick gamma, which is a longer one", answer=2).to_json(),
}
SHORTER = {"kind": "question", "question": replace(QUESTION, stem="pick", answer=2).to_json()}


def refusal(instrument: Instrument, **params: object) -> str:
    with pytest.raises(ResourceError) as refused:
        PATCHING.run(instrument, task(**params), silent)
    return str(refused.value)


def named(message: str) -> list[int]:
    """The positions that a refusal says would fit."""
    told = re.search(r"Positions? ([\d, to]+) \(counted from 0\) alone would fit\.", message)
    assert told, message
    ends = [[int(end) for end in run.split(" to ")] for run in told[1].split(", ")]
    return [position for run in ends for position in range(run[0], run[-1] + 1)]


def half_of(instrument: Instrument, limit: str, **params: object) -> dict[str, float]:
    """A budget of half of what a sweep takes at least."""
    budget = {"seconds": 1e9, "megabytes": 1e-6}
    cost = PATCHING_COST.run(instrument, task(**params, budget=budget), silent).scalars
    if limit == "seconds":
        return {"seconds": cost["expected_seconds"] / 2, "megabytes": 1e6}
    return {"seconds": 1e9, "megabytes": cost["expected_bytes"] / 2e6}


@pytest.mark.parametrize("limit", ["seconds", "megabytes"])
@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("corruption", [TEXT, LONGER, SHORTER, {"kind": "shuffle_labels", "draws": 2}])
@pytest.mark.parametrize("positions", ["all", [31, 5, 30, 8, 20, 9, 12, 10]])
def test_what_is_said_to_fit_is_accepted(
    hand_wired_instrument: Instrument, limit: str, direction: str, corruption: object, positions: object
) -> None:
    """In positions of the clean prompt, whichever run is patched and however long the other is."""
    asked = {"corruption": corruption, "direction": direction, "component": "resid_pre"}
    whole = {**asked, "positions": positions}
    budget = half_of(hand_wired_instrument, limit, **whole)
    message = refusal(hand_wired_instrument, **whole, budget=budget)
    fits = named(message)
    every = range(32) if positions == "all" else sorted(positions)
    assert fits == list(every)[-len(fits) :]
    found = PATCHING.run(hand_wired_instrument, task(**asked, positions=fits, budget=budget), silent)
    assert found.scalars["positions"] == fits
    # ... and with the next position before them it is too much.
    more = list(every)[-len(fits) - 1 :]
    assert "would fit" in refusal(hand_wired_instrument, **asked, positions=more, budget=budget)


@pytest.mark.parametrize("limit", ["seconds", "megabytes"])
def test_a_refusal_tells_cells_time_memory_and_budget(hand_wired_instrument: Instrument, limit: str) -> None:
    asked = {"component": "resid_pre"}
    budget = half_of(hand_wired_instrument, limit, **asked)
    cost = PATCHING_COST.run(hand_wired_instrument, task(**asked, budget=budget), silent).scalars
    taken = f"about {spoken(cost['expected_seconds'])} and {megabytes(cost['expected_bytes'])}"
    message = refusal(hand_wired_instrument, **asked, budget=budget)
    assert message.startswith(
        f"This sweep runs {cost['cells']} cells: {taken} on this machine. Its budget is "
    )
    given = f"{spoken(budget['seconds'])} and {megabytes(round(budget['megabytes'] * 1e6))}."
    assert f"Its budget is {given} Position" in message
    more = {"seconds": "more time", "megabytes": rf"{megabytes(cost['expected_bytes'])} of memory"}
    assert message.endswith(f"All of it needs {more[limit]}.")


@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_a_refusal_needs_no_pass_and_can_be_cancelled(
    hand_wired_instrument: Instrument, direction: str
) -> None:
    def refuse(model: object, args: object) -> None:
        raise AssertionError("a pass")

    def run(cancelled_at: int) -> list[tuple[str, int]]:
        seen: list[tuple[str, int]] = []

        def progress(message: str, done: int = 0, total: int = 0) -> None:
            seen.append((message, done))
            if len(seen) == cancelled_at:
                raise Cancelled("stop")

        with pytest.raises(Cancelled if cancelled_at else ResourceError):
            PATCHING.run(hand_wired_instrument, asked, progress)
        return seen

    asked = task(
        direction=direction, corruption={"kind": "shuffle_labels", "draws": 2}, budget={"seconds": 1e-12}
    )
    hook = hand_wired_instrument.model.register_forward_pre_hook(refuse)
    try:
        counted = run(0)
        assert len(counted) > 6
        assert {*counted} == {("Counting what it costs", 0), ("Counting what it costs", 1)}
        assert all(len(run(at)) == at for at in range(1, len(counted) + 1))
    finally:
        hook.remove()


def test_the_memory_that_a_refusal_names_is_enough(hand_wired_instrument: Instrument) -> None:
    message = refusal(hand_wired_instrument, budget={"megabytes": 1e-3})
    assert "Not even position 31 (counted from 0) alone would fit: about 0 s and " in message
    enough = float(re.findall(r"needs ([\d.]+) MB of memory", message)[0])
    assert PATCHING.run(hand_wired_instrument, task(budget={"megabytes": enough}), silent).arrays
    both = refusal(hand_wired_instrument, budget={"megabytes": 1e-3, "seconds": 1e-12})
    assert both.endswith(f"needs more time and {enough} MB of memory.")


def test_positions_where_nothing_is_run_are_not_said_to_fit(hand_wired_instrument: Instrument) -> None:
    """Of an option of another length no position has a counterpart; alone they would be refused."""
    prompt = hand_wired_instrument.prompt(QUESTION, hand_wired.SPEC)
    stem, option = prompt.positions("stem"), prompt.positions("option 3")
    other = replace(QUESTION, stem="pick delta", options=("red", "blue", "green", "white red"), answer=3)
    asked = {
        "corruption": {"kind": "question", "question": other.to_json()},
        "positions": [*stem, *option],
        "budget": {"seconds": 1e-12},
    }
    assert f"Not even position {stem[-1]} (counted from 0) alone would fit" in refusal(
        hand_wired_instrument, **asked
    )
    with pytest.raises(RequestError, match="nothing can be patched"):
        PATCHING.run(hand_wired_instrument, task(**{**asked, "positions": [*option]}), silent)


def test_a_sweep_is_held_to_the_memory_that_it_was_judged_by(
    hand_wired_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([10**9, 0, 0, 0])
    monkeypatch.setattr("backend.engine.sweep.plan.available_memory", lambda _: next(free))
    assert PATCHING.run(hand_wired_instrument, task(), silent).arrays


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


def test_patterns_of_prompts_of_different_length_are_refused(plain_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="prompts of the same length only"):
        PATCHING.run(plain_instrument, task(corruption=LONGER, component="pattern"), silent)


def test_patterns_are_refused_where_one_of_several_prompts_has_another_length(
    hand_wired_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean over all of them would be unknown everywhere."""

    def mixed(instrument: Instrument, clean: Clean, _: object) -> list[Corrupted]:
        return [corrupted(instrument, clean, data) for data in (TEXT, LONGER)]

    monkeypatch.setattr("backend.analyses.pairs.draws", mixed)
    assert PATCHING.run(hand_wired_instrument, task(component="q"), silent).arrays
    with pytest.raises(RequestError, match="prompts of the same length only"):
        PATCHING.run(hand_wired_instrument, task(component="pattern"), silent)


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
