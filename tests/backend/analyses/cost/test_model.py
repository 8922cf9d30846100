"""Every analysis has a formula, and more costs more."""

from collections.abc import Mapping
from typing import Any

import pytest
from torch import Tensor

from backend.analyses import ANALYSES, Task
from backend.analyses.cost.machine import Curve, Machine
from backend.analyses.cost.model import Formula, OnePrompt
from backend.analyses.cost.work import Work
from backend.analyses.subspace.head_inputs import HeadInputs
from backend.analyses.subspace.replaced_outputs import Outcome, run_replaced
from backend.contract.head import HeadRef
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cost, cost_of
from tests import tiny
from tests.backend.analyses.subspace.test_subspace import questions

COSTED = {name for name, analysis in ANALYSES.items() if analysis.cost}
PATCH = [{"from": "clean", "layers": [0, 0], "positions": [1, 2]}]
MACHINE = Machine(Curve(1e11, 10), Curve(1e11, 10), 1e10)


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def formula_of(analysis: str) -> Formula:
    cost = ANALYSES[analysis].cost
    assert cost is not None
    found: Formula = cost.target.formula
    return found


def test_every_analysis_has_a_formula() -> None:
    assert ANALYSES.keys() - {"cost"} == COSTED


@pytest.mark.parametrize(
    ("analysis", "less", "more"),
    [
        ("effects", {}, {"corruption": {"kind": "question", "draws": 3}}),
        ("joint-patching", {"heads": [[1, 2]]}, {"heads": [[1, 2], [0, 1]], "alone": True, "random": 20}),
        ("lens", {}, {"top": 1}),
        ("lens", {"top": 1, "positions": "final"}, {"top": 1}),
        ("patched-lens", {}, {"patches": PATCH, "check": False}),
        ("patched-lens", {"patches": PATCH, "check": False}, {"patches": PATCH}),
        ("attribution_patching", {}, {"grad_drop": True}),
        ("attribution_patching", {}, {"verify": {"top": 20, "random": 20}}),
        ("patching", {"positions": "final"}, {"positions": "all"}),
        ("patching", {"component": "mlp_out"}, {"component": "z"}),
        ("compression", {}, {"heads": [[1, 0], [1, 2]]}),
        ("mutations", {}, {"heads": [[1, 0], [1, 2]]}),
        ("key-steering", {"strengths": [1]}, {"strengths": 3}),
        ("turn", {"head": [1, 2], "strengths": [1]}, {"head": [1, 2], "strengths": [0, 1, 2, 3, 4, 5]}),
    ],
)
def test_who_asks_for_more_pays_more(
    instrument: Instrument, analysis: str, less: dict[str, object], more: dict[str, object]
) -> None:
    cost, formula = cost_of(instrument), formula_of(analysis)
    small, large = (formula(cost, OnePrompt(20, 4, params=params)) for params in (less, more))
    assert MACHINE.seconds(large) > MACHINE.seconds(small) > 0
    assert large.held >= small.held > 0


@pytest.mark.parametrize("analysis", sorted(COSTED))
def test_a_longer_prompt_costs_more(instrument: Instrument, analysis: str) -> None:
    cost, formula = cost_of(instrument), formula_of(analysis)
    small, large = (formula(cost, OnePrompt(tokens, 4)) for tokens in (20, 25))
    assert MACHINE.seconds(large) > MACHINE.seconds(small) > 0
    assert large.held >= small.held > 0


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("module", "params"),
    [
        ("subspace.compression", {}),
        ("subspace.compression", {"ranks": [0, 2]}),
        ("mutations.mutations", {}),
        ("mutations.key_steering", {}),
        ("mutations.key_steering", {"strengths": [1, 2]}),
    ],
)
def test_as_many_rows_are_priced_as_are_run(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch, module: str, params: dict[str, object]
) -> None:
    run: set[int] = set()
    priced: list[int] = []

    def counting(model: Instrument, inputs: HeadInputs, z: Mapping[HeadRef, Tensor], *more: Any) -> Outcome:
        run.update(len(values) for values in z.values())
        return run_replaced(model, inputs, z, *more)

    def pricing(cost: Cost, prompt: OnePrompt, cases: int) -> Work:
        priced.append(cases)
        return Work()

    monkeypatch.setattr(f"backend.analyses.{module}.run_replaced", counting)
    monkeypatch.setattr(f"backend.analyses.{module.partition('.')[0]}.cost.exchanged", pricing)
    name, asked = module.partition(".")[2].replace("_", "-"), questions(8)
    request = Request.build(name, questions=asked, params={"head": [1, 2], **params})
    ANALYSES[name].run(instrument, Task(request, asked, ((),) * 8), silent)
    formula_of(name)(cost_of(instrument), OnePrompt(20, 4, True, params))
    assert run == {*priced}
