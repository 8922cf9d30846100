"""What is counted: by hand, and against what is really run."""

import pytest

from backend.analyses.cost.work import cones, one_pass
from backend.engine.instrument import Instrument
from backend.engine.sweep import all_cells, cost_of, each_alone, estimate, run_source
from tests import tiny


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def test_a_pass_by_hand(instrument: Instrument) -> None:
    # d_model 48, MLP 64, 4 heads and 2 kv heads of 12, 3 layers, 320 tokens known.
    row, unembedding = 48 * 48 + 2 * 48 * 24 + 48 * 48 + 3 * 48 * 64, 320 * 48
    found = one_pass(cost_of(instrument), 10)
    assert found.products == 3 * (10 * row + 2 * 100 * 48) + unembedding
    assert found.weights == 3 * row + unembedding
    assert found.calls == 3


@pytest.mark.parametrize("component", ["z", "v", "mlp_out"])
def test_cones_are_those_of_the_sweep(instrument: Instrument, component: str) -> None:
    base, source = tuple(range(12)), tuple(range(20, 32))
    cells = all_cells(component, instrument.shape, range(5, 12))
    swept = estimate(
        instrument, base, run_source(instrument, base, source), each_alone(component, cells), 10**9
    )
    found = cones(cost_of(instrument), 12, component, range(5, 12))
    own_layer_only = 0  # in the last layer what no later row reads is not run: its output projection and MLP
    if component != "v":
        cost = cost_of(instrument)
        left_out = instrument.shape.heads if component == "z" else 1
        own_layer_only = 2 * 6 * left_out * (cost.row - 2 * 48 * 24 - 48 * 48)
    assert 2 * found.cone_products == pytest.approx(swept.flops + own_layer_only)
