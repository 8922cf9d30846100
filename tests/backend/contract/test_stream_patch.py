"""A block's two forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from backend.contract.errors import RequestError
from backend.contract.stream_patch import RUNS, StreamPatch

ENDS = some.lists(some.integers(0, 999), min_size=2, max_size=2).map(sorted).map(tuple)


@given(source=some.sampled_from(RUNS), layers=ENDS, positions=ENDS)
def test_both_forms_lead_back(source: str, layers: tuple[int, int], positions: tuple[int, int]) -> None:
    patch = StreamPatch(source, (layers[0] - 1, layers[1]), positions)
    assert StreamPatch.parse(str(patch)) == patch
    assert StreamPatch.from_json(patch.to_json()) == patch


@pytest.mark.parametrize(
    "text",
    ["", "clean", "clean:1:2", "clean:1..2:3", "clean:-2..2:3..4", "clean:1..2:9..4", "left:1..2:3..4"],
)
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="atch"):
        StreamPatch.parse(text)
