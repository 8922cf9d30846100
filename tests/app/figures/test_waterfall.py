import numpy as np
import pytest

from app.figures.waterfall import Margin, waterfall

GENERATOR = np.random.default_rng(0)


def margin() -> Margin:
    heads = GENERATOR.normal(size=(6, 4)).astype(np.float32)
    mlps = GENERATOR.normal(size=6).astype(np.float32)
    own = float(heads.sum() + mlps.sum()) + 0.25 - 0.5
    return Margin(heads, mlps, embedding=0.25, bias=-0.5, own=own)


def test_the_steps_add_up_to_the_models_own_margin() -> None:
    told = margin()
    assert told.sum == pytest.approx(told.own, abs=1e-5)
    assert sum(value for _, value in told.steps()) == pytest.approx(told.own, abs=1e-5)
    bars = waterfall(told, "B").data[0]
    assert sum(bars.x[:-1]) == pytest.approx(bars.x[-1], abs=1e-5)
    assert bars.measure[-1] == "total"


def test_the_named_nodes_are_those_furthest_from_zero() -> None:
    told = margin()
    named = [node.value for node in told.named(5)]
    everything = np.concatenate([told.heads.ravel(), told.mlps])
    assert sorted(np.abs(named)) == pytest.approx(np.sort(np.abs(everything))[-5:])
    assert named == sorted(named, reverse=True)


def test_the_rest_says_how_many_it_holds() -> None:
    names = [name for name, _ in margin().steps()]
    others = [int(name.split()[0]) for name in names if "other" in name]
    assert sum(others) + 8 == 6 * 4 + 6
    assert names[-2:] == ["embedding", "biases"]
