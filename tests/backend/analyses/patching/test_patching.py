"""Patching: the hand-wired head is found, bad requests are refused, several prompts are averaged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.analyses import Findings, Task
from backend.analyses.patching.schema import PATCHING
from backend.contract.errors import Cancelled, RequestError
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.results.checkpoint import Checkpoint
from tests import hand_wired

ROOT = Path(__file__).parents[4]
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
    hand_wired_instrument: Instrument, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        PATCHING.run(hand_wired_instrument, task(**params), silent)


def test_it_can_be_cancelled_while_the_prompts_are_read() -> None:
    instrument = Instrument(hand_wired.hand_wired())
    finished: list[int] = []

    def cancel(message: str, done: int = 0, total: int = 0) -> None:
        raise Cancelled("stop")

    instrument.model.register_forward_hook(lambda *_: finished.append(1))
    with pytest.raises(Cancelled):
        PATCHING.run(instrument, task(), cancel)
    assert not finished


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
