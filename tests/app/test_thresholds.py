"""Thresholds in the address: read back as written, anything else refused in words."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.thresholds import RANGES, USUAL, parsed, reader, written
from backend.contract.errors import RequestError
from backend.results.head_classes import Thresholds


def test_every_threshold_has_a_slider_that_holds_its_usual_value() -> None:
    assert [field.name for field in fields(Thresholds)] == [*RANGES]
    for name, ends in RANGES.items():
        assert ends.low <= getattr(USUAL, name) <= ends.high
        assert ends.step < ends.high - ends.low


@given(some.fixed_dictionaries({name: some.floats(ends.low, ends.high) for name, ends in RANGES.items()}))
def test_an_address_says_the_thresholds(values: dict[str, float]) -> None:
    chosen = parsed(written(Thresholds(**{name: round(value, 6) for name, value in values.items()})))
    assert written(chosen) == written(parsed(written(chosen)))
    for name, value in values.items():
        assert getattr(chosen, name) == pytest.approx(value, abs=1e-5)


def test_usual_values_are_left_out() -> None:
    assert reader("thresholds", "mass:0.3,gap:0.20") == "gap:0.2"
    assert parsed("") == USUAL


@pytest.mark.parametrize(
    "text", ["gap", "gap:", "gap:x", "gap:nan", "gap:2", "gap:-1", "size:1", "gap:0.1,gap:0.2", ","]
)
def test_bad_texts_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="threshold"):
        parsed(text)
