"""Every analysis has a formula, and more costs more."""

import pytest

from backend.analyses import ANALYSES, PATCHING_COST
from backend.analyses.cost import COST
from backend.analyses.formulas import PRICED
from backend.analyses.machine import Machine
from backend.analyses.work import Asked
from backend.engine.instrument import Instrument
from backend.engine.sweep import cost_of
from tests import tiny

PAIR = {"corruption": {"kind": "shuffle_labels"}}


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def test_every_analysis_has_a_formula() -> None:
    assert PRICED.keys() == ANALYSES.keys() - {COST.name, PATCHING_COST.name}


@pytest.mark.parametrize(
    ("analysis", "less", "more"),
    [
        ("effects", {}, {"corruption": {"kind": "question", "draws": 3}}),
        ("attribution_patching", {}, {"grad_drop": True}),
        ("attribution_patching", {}, {"verify": {}}),
        ("patching", {"positions": "final"}, {"positions": "all"}),
        ("patching", {"component": "mlp_out"}, {"component": "z"}),
        ("prediction", {}, {}),
        ("compression", {}, {"heads": [[1, 0], [1, 2]]}),
        ("mutations", {}, {"heads": [[1, 0], [1, 2]]}),
        ("key-steering", {"strengths": [1]}, {"strengths": 3}),
    ],
)
def test_who_asks_for_more_pays_more(
    instrument: Instrument, analysis: str, less: dict[str, object], more: dict[str, object]
) -> None:
    machine, cost, formula = Machine(1e11, 10, 1e10), cost_of(instrument), PRICED[analysis].formula
    small, large = formula(cost, Asked(20, 4, params=less)), formula(cost, Asked(25, 4, params=more))
    assert machine.seconds(large) > machine.seconds(small) > 0
    assert large.held >= small.held > 0
