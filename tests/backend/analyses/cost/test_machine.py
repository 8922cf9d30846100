"""How fast a machine is said to be."""

import pytest
import torch

from backend.analyses.cost.machine import Curve, Machine, curve, machine_of
from backend.analyses.cost.work import Work
from backend.engine.instrument import Instrument
from tests import tiny


def test_a_machine_is_half_as_fast_at_half_its_rows() -> None:
    machine = Machine(Curve(1e9, half=20), Curve(2e9, half=10), copy=1e8, call=0.5)
    weights = 1000
    assert machine.seconds(Work(20 * weights, weights)) == pytest.approx(2 * 20 * weights / 0.5e9)
    cones = Work(cone_products=10 * weights, cone_weights=weights)
    assert machine.seconds(cones) == pytest.approx(2 * 10 * weights / 1e9)
    assert machine.seconds(Work(moved=3e8, calls=2)) == pytest.approx(4)
    assert (Work(1, 2, 3, 4, 5, 6, 7) + Work(1, held=9)) * 2 == Work(4, 4, 6, 8, 10, 12, 9)


def test_the_curve_is_found_again() -> None:
    rows = (1, 8, 64, 512)
    found = curve(rows, [(count + 20) / 5e9 for count in rows])
    assert (found.peak, found.half) == pytest.approx((5e9, 20))
    assert curve(rows, [count / 5e9 for count in rows]).half == pytest.approx(0, abs=1e-6)
    assert curve(rows, [5.0, 4.0, 4.0, 2.0]) == Curve(256, 0)


@pytest.mark.parametrize("family", ["qwen2", "gpt2", "mixtral"])
def test_this_machine_is_measured_once(family: str) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model(family), tiny.tokenizer(), family))
    threads = torch.get_num_threads()
    found = machine_of(instrument)
    assert torch.get_num_threads() == threads
    for each in (found.plain, found.cones):
        assert 1e6 < each.peak < 1e16
        assert 0 <= each.half < 1e5
    assert found.copy > 1e6
    assert machine_of(instrument) is found
