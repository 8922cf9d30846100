"""Attribution patching: the hand-wired heads are named, what is verified is the sweep's, bad requests are refused."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from backend.analyses import Analysis, Findings, Task
from backend.analyses.patching import verification
from backend.analyses.patching.attribution_schema import ATTRIBUTION_PATCHING
from backend.analyses.patching.pairs import pairs_of
from backend.analyses.patching.plan import plan
from backend.analyses.patching.schema import PATCHING
from backend.contract.components import COMPONENTS
from backend.contract.errors import Cancelled, RequestError, ResourceError
from backend.contract.progress import giving_way, silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.first_order import changes
from backend.engine.gradients import forward
from backend.engine.instrument import CACHED_TRACES_BYTES, Instrument
from backend.engine.sweep import Swept, components_of, run_sweep
from backend.engine.sweep.batching import SET_ASIDE_BYTES
from tests import hand_wired, tiny

QUESTION = hand_wired.question(1)
TEXT = {"kind": "text", "prompt": "pick delta\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: ("}
METRIC = {"kind": "logit_difference", "label": "B", "other": "D"}
PLAIN = PromptSpec(template="plain")


def task(analysis: str = "attribution_patching", **params: Any) -> Task:
    request = Request.build(
        analysis,
        question=QUESTION,
        prompt=hand_wired.SPEC,
        params={"corruption": TEXT, "metric": METRIC, **params},
    )
    return Task(request, (QUESTION,), ((),))


def run(instrument: Instrument, **params: Any) -> Findings:
    return ATTRIBUTION_PATCHING.run(instrument, task(**params), silent)


def exact(instrument: Instrument, component: str, direction: str = "denoise") -> np.ndarray:
    """The changes by the exact sweep."""
    found = PATCHING.run(instrument, task("patching", component=component, direction=direction), silent)
    end = found.scalars["corrupted" if direction == "denoise" else "clean"]
    return found.arrays["values"].values - end


def family_task(instrument: Instrument, analysis: str = "attribution_patching", **params: Any) -> Task:
    """On a random model: the answer's cue with another letter in it."""
    prompt = instrument.prompt(QUESTION, PLAIN)
    text = {"kind": "text", "prompt": prompt.text.replace("Answer", "Anzwer")}
    given = {"corruption": text, "metric": METRIC, **params}
    return Task(Request.build(analysis, question=QUESTION, prompt=PLAIN, params=given), (QUESTION,), ((),))


def for_family(instrument: Instrument, **params: Any) -> Findings:
    return ATTRIBUTION_PATCHING.run(instrument, family_task(instrument, **params), silent)


@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_the_hand_wired_heads_come_first(hand_wired_instrument: Instrument, direction: str) -> None:
    found = run(hand_wired_instrument, direction=direction)
    estimate = found.arrays["z"].values
    assert found.arrays["z"].axes == ("layer", "head", "position")
    assert found.arrays["z"].unit == "logits"
    order = np.argsort(-np.abs(estimate), axis=None)[:2]
    first = {tuple(map(int, np.unravel_index(number, estimate.shape))) for number in order}
    circuit = (hand_wired.GATHERER, hand_wired.CORRECT_LETTER)
    assert first == {(head.layer, head.head, estimate.shape[2] - 1) for head in circuit}
    # The head that writes the letter is estimated nearly in full, with its sign.
    own = estimate[hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head, -1]
    swept = exact(hand_wired_instrument, "z", direction)
    assert own == pytest.approx(
        swept[hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head, -1], rel=0.25
    )
    assert found.checks["pattern_error"][0] < 1e-5
    assert found.scalars["direction"] == direction
    assert found.scalars["first_difference"] == 2
    assert found.scalars["clean"] > 0 > found.scalars["corrupted"]


def test_a_saturated_query_is_found_with_the_correction_alone(hand_wired_instrument: Instrument) -> None:
    """The letter head looks at one label alone, so that its softmax has hardly a gradient left."""
    head = hand_wired.CORRECT_LETTER
    wanted = exact(hand_wired_instrument, "q")[head.layer, head.head, -1]
    fixed, plain = (
        run(hand_wired_instrument, qk_fix=fix).arrays["q"].values[head.layer, head.head, -1]
        for fix in (True, False)
    )
    assert wanted > 6
    assert plain < 0.01 * wanted
    assert fixed == pytest.approx(wanted, rel=0.25)


def test_every_component_has_its_axes(family_instrument: Instrument) -> None:
    found = for_family(family_instrument)
    tokens = len(found.scalars["tokens"])
    first = found.scalars["first_difference"]
    components = components_of(family_instrument.shape)
    assert set(found.arrays) == set(components)
    for name, component in components.items():
        values = found.arrays[name]
        assert values.axes == component.axes
        heads = component.head_count(family_instrument.shape)
        assert values.values.shape == (3, *([] if heads is None else [heads]), tokens)
        assert (values.values[..., :first] == 0).all()
        assert (values.values != 0).any()
        for axis, size in zip(values.axes, values.values.shape, strict=True):
            assert len(found.ticks[axis]) == size
    assert found.checks["pattern_error"][0] < 1e-5


@pytest.mark.parametrize("component", ["z", "k", "resid_mid"])
def test_what_is_verified_is_what_a_sweep_finds(plain_instrument: Instrument, component: str) -> None:
    verify = {"component": component, "top": 5, "random": 4, "seed": 3}
    found = for_family(plain_instrument, direction="noise", verify=verify)
    estimate, cells = found.arrays[component].values, found.scalars["verified"]
    assert [cell["top"] for cell in cells] == [True] * 5 + [False] * 4
    places = [
        tuple(cell[name] for name in ("layer", "head", "position") if cell[name] is not None)
        for cell in cells
    ]
    assert len(set(places)) == 9
    own = found.arrays["estimated"].values
    assert own.tolist() == [float(estimate[place]) for place in places]
    assert np.abs(own[:5]).tolist() == sorted(np.abs(estimate).ravel(), reverse=True)[:5]
    patching = family_task(plain_instrument, "patching", component=component, direction="noise")
    swept = PATCHING.run(plain_instrument, patching, silent)
    wanted = [swept.arrays["values"].values[place] - swept.scalars["clean"] for place in places]
    swept_again = found.arrays["exact"].values
    assert swept_again == pytest.approx(wanted, abs=1e-5)
    assert found.arrays["exact"].axes == ("cell",)
    assert found.scalars["leaders"] == 9
    assert found.scalars["spearman"] == pytest.approx(
        np.corrcoef(np.argsort(np.argsort(own)), np.argsort(np.argsort(swept_again)))[0, 1], abs=1e-4
    )


def test_what_is_verified_is_rechecked(plain_instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> None:
    verify, several = {"top": 3, "random": 3}, {"kind": "shuffle_labels", "draws": 2}
    checks = for_family(plain_instrument, corruption=several, verify=verify).checks
    assert checks["oracle_error"][0] < 1e-5 < checks["oracle_error"][1]
    assert "oracle_error" not in for_family(plain_instrument).checks

    def wrong(*args: Any, **kwargs: Any) -> Swept:
        found = run_sweep(*args, **kwargs)
        return replace(found, logits=found.logits + 1)

    monkeypatch.setattr(verification, "run_sweep", wrong)
    assert for_family(plain_instrument, verify=verify).checks["oracle_error"][0] == pytest.approx(1, abs=1e-4)


def test_only_cells_that_can_change_something_are_verified(hand_wired_instrument: Instrument) -> None:
    found = run(hand_wired_instrument, verify={"top": 0, "random": 10_000, "positions": "final"})
    cells = found.scalars["verified"]
    assert len(cells) == 2 * 4
    assert {cell["position"] for cell in cells} == {31}
    everywhere = run(hand_wired_instrument, verify={"top": 3, "random": 10_000})
    # From position 2 on in the first layer, at the last position in the last.
    assert len(everywhere.scalars["verified"]) == 4 * 30 + 4


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("verify", "budget"),
    [
        ({"component": "resid_pre", "top": 9, "random": 12}, {"megabytes": SET_ASIDE_BYTES / 1e6 + 0.2}),
        ({"component": "v", "top": 20, "random": 0}, {"seconds": None}),
        ({"component": "v", "top": 0, "random": 10**400}, {"seconds": None}),
    ],
)
@pytest.mark.parametrize("corruption", [TEXT, {"kind": "shuffle_labels", "draws": 2}])
def test_a_verification_beyond_its_budget_is_refused_with_what_would_fit(
    hand_wired_instrument: Instrument, verify: dict[str, Any], budget: dict[str, Any], corruption: object
) -> None:
    asked = {"corruption": corruption, "verify": verify}
    if "seconds" in budget:
        asked_whole = task("patching", corruption=corruption, component=verify["component"])
        whole = plan(hand_wired_instrument, asked_whole, silent).cost(hand_wired_instrument, silent)
        budget = {"seconds": 0.75 * whole.seconds}
    with pytest.raises(ResourceError, match=r"This sweep runs \d+ cells: about .* Its budget is") as refused:
        run(hand_wired_instrument, **asked, budget=budget)
    told = re.search(r"With top (\d+) and random (\d+) it would fit\.", str(refused.value))
    assert told, refused.value
    fewer = {**verify, "top": int(told[1]), "random": int(told[2])}
    assert len(run(hand_wired_instrument, **{**asked, "verify": fewer}, budget=budget).scalars["verified"])
    with pytest.raises(ResourceError, match="Not even one cell would fit: about 0 s and"):
        run(hand_wired_instrument, **asked, budget={"seconds": 1e-12})


def test_another_seed_draws_other_cells(hand_wired_instrument: Instrument) -> None:
    def drawn(seed: int) -> list[object]:
        return run(hand_wired_instrument, verify={"seed": seed}).scalars["verified"]

    assert drawn(1) == drawn(1)
    assert drawn(1)[:20] == drawn(2)[:20]
    assert drawn(1)[20:] != drawn(2)[20:]


def test_a_short_job_goes_first_between_the_layers_of_grad_drop(plain_instrument: Instrument) -> None:
    alone, passed = for_family(plain_instrument, grad_drop=True), 0

    def another_job() -> None:
        nonlocal passed
        passed += 1
        plain_instrument._traces.clear()
        plain_instrument.trace((1, 2, 3))

    with giving_way(another_job):
        between = for_family(plain_instrument, grad_drop=True)
    assert passed > plain_instrument.shape.layers
    for name, found in alone.arrays.items():
        assert np.array_equal(between.arrays[name].values, found.values, equal_nan=True)


@pytest.mark.sampled
@pytest.mark.parametrize("direction", ["denoise", "noise"])
def test_several_draws_are_averaged(plain_instrument: Instrument, direction: str) -> None:
    params = {
        "metric": {"kind": "probability", "label": "B"},
        "direction": direction,
        "grad_drop": True,
        "verify": {"top": 3, "random": 3},
    }
    shuffled = {"kind": "shuffle_labels", "draws": 3}
    together = for_family(plain_instrument, corruption=shuffled, **params)
    notes = [draw["note"] for draw in together.scalars["draws"]]
    alone = {}
    for seed in range(3):
        one = for_family(plain_instrument, corruption={"kind": "shuffle_labels", "seed": seed}, **params)
        alone[one.scalars["corruption"]] = one
    assert list(alone) == notes
    assert len(notes) > 1
    for name in (*COMPONENTS, *(f"magnitude_{name}" for name in COMPONENTS)):
        mean = np.mean([one.arrays[name].values for one in alone.values()], axis=0)
        assert together.arrays[name].values == pytest.approx(mean, abs=1e-6)
    assert together.scalars["first_difference"] == min(
        one.scalars["first_difference"] for one in alone.values()
    )


def test_grad_drop_is_the_mean_size_without_each_layer(plain_instrument: Instrument) -> None:
    found = for_family(plain_instrument, grad_drop=True)
    asked = family_task(plain_instrument)
    (prompt,), values = asked.prompts(plain_instrument), ATTRIBUTION_PATCHING.values(asked.request)
    (pair,) = pairs_of(plain_instrument, asked, 0, prompt, values)
    graph = forward(plain_instrument, pair.other.token_ids)
    value = graph.logits[pair.token_ids[1]] - graph.logits[pair.token_ids[3]]
    base, source = (
        plain_instrument.trace(ids) for ids in (pair.other.token_ids, pair.clean.prompt.token_ids)
    )
    without = [
        changes(base, source, graph.gradients(value, dropped=layer), qk_fix=True) for layer in range(3)
    ]
    for name, component in COMPONENTS.items():
        size = found.arrays[f"magnitude_{name}"]
        assert size.axes == component.axes
        sizes = torch.stack([one[name].abs() for one in without]).sum(0) / 2
        assert size.values == pytest.approx(sizes.numpy(), abs=1e-6)
        if not name.startswith("resid"):
            # The layers below a node do not stand between it and the metric.
            plain = np.abs(found.arrays[name].values)
            assert size.values[-1] == pytest.approx(plain[-1], abs=1e-6)
    assert set(for_family(plain_instrument).arrays) == set(COMPONENTS)


@pytest.mark.parametrize(
    "metric",
    [
        {"kind": "net_logit", "label": "B"},
        {"kind": "probability", "label": "B"},
        {"kind": "loss", "label": "B"},
        {"kind": "kl"},
    ],
)
def test_every_metric_has_gradients(plain_instrument: Instrument, metric: dict[str, str]) -> None:
    found = for_family(plain_instrument, metric=metric, verify={"top": 6, "random": 6})
    assert found.scalars["metric"] == metric["kind"]
    assert np.isfinite(found.arrays["z"].values).all()
    assert (found.arrays["z"].values != 0).any()
    if metric["kind"] != "kl":  # near its least value the divergence bends more than it slopes
        assert found.scalars["pearson"] > 0.5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"direction": "sideways"}, "direction must be one of denoise, noise"),
        ({"direction": ["noise"]}, "direction must be one of"),
        ({"qk_fix": 1}, "qk_fix must be true or false, not 1"),
        ({"grad_drop": "yes"}, "grad_drop must be true or false"),
        ({"metric": {"kind": "kl"}, "direction": "noise"}, "no slope at the clean run itself"),
        ({"metric": {"kind": "beauty"}}, "no metric 'beauty'"),
        ({"corruption": {"kind": "noise"}}, "no corruption 'noise'"),
        ({"verify": 20}, "verify must be an object"),
        ({"verify": {"tops": 3}}, "verify has no field 'tops'"),
        ({"verify": {"component": "zz"}}, "verify.component must be one of z"),
        ({"verify": {"component": ["z"]}}, "verify.component must be one of z"),
        ({"verify": {"top": -1}}, "verify.top must be a whole number, 0 or more, not -1"),
        ({"verify": {"random": True}}, "verify.random must be a whole number"),
        ({"verify": {"seed": "a"}}, "verify.seed must be a whole number"),
        ({"verify": {"top": 0, "random": 0}}, "no cells"),
        ({"budget": {"hours": 1}}, "budget has no field 'hours'"),
        ({"verify": {"positions": [3]}}, 'positions must be "all" or "final"'),
    ],
)
def test_bad_parameters_are_refused_by_name(
    hand_wired_instrument: Instrument, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        run(hand_wired_instrument, **params)


def test_prompts_of_other_lengths_are_refused(plain_instrument: Instrument) -> None:
    longer = replace(QUESTION, stem="pick a longer one", answer=2)
    with pytest.raises(RequestError, match=r"cannot be patched\. Choose a corruption of equal length"):
        for_family(plain_instrument, corruption={"kind": "question", "question": longer.to_json()})


@pytest.mark.parametrize("family_instrument", ["stablelm parallel"], indirect=True)
def test_what_a_family_lacks_is_not_verified(family_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match=r"must be one of z, .*, attn_out, mlp_out, not 'resid_mid'"):
        for_family(family_instrument, verify={"component": "resid_mid"})


@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("kept", [0, CACHED_TRACES_BYTES])
def test_two_passes_forwards_are_all(direction: str, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the prompts are."""
    monkeypatch.setattr("backend.engine.instrument.CACHED_TRACES_BYTES", kept)
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "counted"))
    passes: list[object] = []
    instrument.model.register_forward_hook(lambda *_: passes.append(None))
    for_family(instrument, direction=direction)
    assert len(passes) == 2


@pytest.mark.sampled
@pytest.mark.parametrize("analysis", [ATTRIBUTION_PATCHING, PATCHING], ids=lambda analysis: analysis.name)
@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("answer", [QUESTION.answer, None])
def test_no_pass_is_made_in_silence(
    analysis: Analysis, direction: str, answer: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a draw's trace has been dropped for another's, and no label is right."""
    monkeypatch.setattr("backend.engine.instrument.CACHED_TRACES_BYTES", 0)
    instrument = Instrument(hand_wired.hand_wired())
    passes: list[object] = []
    instrument.model.register_forward_hook(lambda *_: passes.append(None))
    told: list[str] = []

    def note(message: str, done: int = 0, total: int = 0) -> None:
        if (message.startswith("Running the model") and done == 0) or message.startswith("Re-checking"):
            told.append(message)

    question = replace(QUESTION, answer=answer)
    params = {"corruption": {"kind": "shuffle_labels", "draws": 3}, "direction": direction}
    request = Request.build(analysis.name, question=question, prompt=hand_wired.SPEC, params=params)
    found = analysis.run(instrument, Task(request, (question,), ((),)), note)
    assert len(found.scalars["draws"]) == 3
    rechecked = sum(message.startswith("Re-checking") for message in told) // instrument.shape.layers
    assert len(passes) == len(told) - rechecked * (instrument.shape.layers - 1)


@pytest.mark.parametrize(
    "message", ["Running", "Going back", "Estimating", "Checking", "Counting", "Patching"]
)
def test_it_can_be_cancelled_anywhere(hand_wired_instrument: Instrument, message: str) -> None:
    def cancel(said: str, done: int = 0, total: int = 0) -> None:
        if said.startswith(message):
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        ATTRIBUTION_PATCHING.run(hand_wired_instrument, task(verify={}), cancel)
    assert hand_wired_instrument.model.config._attn_implementation == "sdpa"
