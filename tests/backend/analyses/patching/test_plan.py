"""A sweep beyond its budget is refused with what it takes and what would fit, and patterns where lengths differ."""

import re
from dataclasses import replace
from typing import Any

import pytest

from backend.analyses import ANALYSES, Task
from backend.analyses.patching.budget import SweepCost, spoken
from backend.analyses.patching.corruptions import Clean, Corrupted, corrupted
from backend.analyses.patching.plan import plan
from backend.analyses.patching.schema import PATCHING
from backend.contract.errors import Cancelled, RequestError, ResourceError
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.sweep.batching import SET_ASIDE_BYTES
from backend.models.memory import megabytes
from tests import hand_wired
from tests.backend.analyses.patching.test_patching import QUESTION, TEXT, task

LONGER = {
    "kind": "question",
    "question": replace(QUESTION, stem="pick gamma, which is a longer one", answer=2).to_json(),
}
SHORTER = {"kind": "question", "question": replace(QUESTION, stem="pick", answer=2).to_json()}


def refusal(instrument: Instrument, **params: Any) -> str:
    with pytest.raises(ResourceError) as refused:
        PATCHING.run(instrument, task(**params), silent)
    return str(refused.value)


def named(message: str) -> list[int]:
    """The positions that a refusal says would fit."""
    told = re.search(r"Positions? ([\d, to]+) \(counted from 0\) alone would fit\.", message)
    assert told, message
    ends = [[int(end) for end in run.split(" to ")] for run in told[1].split(", ")]
    return [position for run in ends for position in range(run[0], run[-1] + 1)]


def cost_of(instrument: Instrument, asked: Task) -> SweepCost:
    return plan(instrument, asked, silent).cost(instrument, silent)


def half_of(instrument: Instrument, limit: str, **params: Any) -> dict[str, float]:
    """A budget half way between the costs of no cells and of all."""
    budget = {"seconds": 1e9, "megabytes": 1e-6}
    whole = cost_of(instrument, task(**params, budget=budget))
    if limit == "megabytes":
        return {"seconds": 1e9, "megabytes": (SET_ASIDE_BYTES + whole.bytes) / 2e6}
    least = cost_of(instrument, task(**{**params, "positions": "final"}, budget=budget))
    return {"seconds": (least.seconds + whole.seconds) / 2, "megabytes": 1e6}


@pytest.mark.sampled
@pytest.mark.parametrize("limit", ["seconds", "megabytes"])
@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("corruption", [TEXT, LONGER, SHORTER, {"kind": "shuffle_labels", "draws": 2}])
@pytest.mark.parametrize("positions", ["all", [31, 5, 30, 8, 20, 9, 12, 10]])
def test_what_is_said_to_fit_is_accepted(
    hand_wired_instrument: Instrument, limit: str, direction: str, corruption: object, positions: Any
) -> None:
    """In positions of the clean prompt, whichever run is patched and however long the other is."""
    asked: dict[str, Any] = {"corruption": corruption, "direction": direction, "component": "resid_pre"}
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
    asked: dict[str, Any] = {"component": "resid_pre"}
    budget = half_of(hand_wired_instrument, limit, **asked)
    cost = cost_of(hand_wired_instrument, task(**asked, budget=budget))
    taken = f"about {spoken(cost.seconds)} and {megabytes(cost.bytes)}"
    message = refusal(hand_wired_instrument, **asked, budget=budget)
    assert message.startswith(f"This sweep runs {cost.cells} cells: {taken} on this machine. Its budget is ")
    given = f"{spoken(budget['seconds'])} and {megabytes(round(budget['megabytes'] * 1e6))}."
    assert f"Its budget is {given} Position" in message
    more = {"seconds": "more time", "megabytes": rf"{megabytes(cost.bytes)} of memory"}
    assert message.endswith(f"All of it needs {more[limit]}.")


@pytest.mark.sampled
@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_a_refusal_needs_no_pass_and_can_be_cancelled(
    hand_wired_instrument: Instrument, direction: str
) -> None:
    def refuse(model: object, args: object) -> None:
        raise AssertionError("a pass")

    def run(cancelled_at: int) -> list[str]:
        seen: list[str] = []

        def progress(message: str, done: int = 0, total: int = 0) -> None:
            seen.append(message)
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
        assert {*counted} == {"Counting the operations"}
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
    asked: dict[str, Any] = {
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
    monkeypatch.setattr("backend.engine.sweep.batching.available_memory", lambda _: next(free))
    assert PATCHING.run(hand_wired_instrument, task(), silent).arrays


def test_the_budget_is_for_all_draws_together(plain_instrument: Instrument) -> None:
    def asked(**params: Any) -> Task:
        return task(
            **{"corruption": {"kind": "shuffle_labels", "seed": 5}, "component": "resid_pre", **params}
        )

    one = cost_of(plain_instrument, asked())
    several = {"kind": "shuffle_labels", "seed": 5, "draws": 3}
    budget = {"seconds": 1.1 * one.seconds}
    assert PATCHING.run(plain_instrument, asked(budget=budget), silent).scalars["cells"]
    with pytest.raises(ResourceError, match=rf"runs ({2 * one.cells:,}|{3 * one.cells:,}) cells"):
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

    monkeypatch.setattr("backend.analyses.patching.pairs.draws", mixed)
    assert PATCHING.run(hand_wired_instrument, task(component="q"), silent).arrays
    with pytest.raises(RequestError, match="prompts of the same length only"):
        PATCHING.run(hand_wired_instrument, task(component="pattern"), silent)


@pytest.mark.parametrize("draws", [1, 2])
def test_the_budget_and_the_analysis_cost_give_the_same_figures(
    hand_wired_instrument: Instrument, draws: int
) -> None:
    asked = task(corruption={"kind": "shuffle_labels", "draws": draws}, budget={"megabytes": 100})
    cost = cost_of(hand_wired_instrument, asked)
    about = {"analysis": "patching", "params": dict(asked.request.params)}
    request = Request.build("cost", question=QUESTION, prompt=hand_wired.SPEC, params=about)
    told = ANALYSES["cost"].run(hand_wired_instrument, Task(request, (QUESTION,), ((),)), silent).scalars
    assert (told["expected_seconds"], told["expected_bytes"]) == (cost.seconds, cost.bytes)
