"""What is fitted on one half is never run on a question that it has seen, in whatever form."""

import pytest

from backend.analyses import Task
from backend.analyses.subspace.fitting import halved, halved_alike, numbers_of, resampled
from backend.analyses.subspace.head_inputs import ByHead, Options, collect_heads
from backend.analyses.subspace.schema import COMPRESSION
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import tiny
from tests.backend.analyses.subspace.test_subspace import questions


@pytest.fixture(scope="module")
def kept() -> list[ByHead]:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    asked = questions(13)
    request = Request.build(
        "compression", questions=asked, prompt=PromptSpec(), params={"heads": [[2, 0], [1, 1]]}
    )
    task = Task(request, asked, ((),) * 13)
    found, _ = collect_heads(instrument, task, Options.of(instrument, COMPRESSION.values(request)), silent)
    return found


def test_halves_are_apart_and_whole(kept: list[ByHead]) -> None:
    first, second = halved(kept, 0)
    assert numbers_of(first.run_on) == numbers_of(second.fit_on)
    assert numbers_of(first.run_on) & numbers_of(first.fit_on) == set()
    assert numbers_of(first.run_on) | numbers_of(first.fit_on) == set(range(13))
    assert [*first.fits] == [HeadRef(1, 1), HeadRef(2, 0)]


def test_fewer_questions_stay_in_their_halves(kept: list[ByHead]) -> None:
    whole = halved(kept, 0)
    fewer = halved_alike([*kept[:3], *kept[5:]], whole)
    for half, other in zip(fewer, whole, strict=True):
        assert numbers_of(half.run_on) == numbers_of(other.run_on) - {3, 4}
        assert not numbers_of(half.run_on) & numbers_of(other.fit_on)


@pytest.mark.parametrize("left", [0, 1])
def test_a_half_with_too_few_to_fit_on_is_refused(kept: list[ByHead], left: int) -> None:
    whole = halved(kept, 0)
    fewer = [*whole[0].run_on, *whole[1].run_on[:left]]
    with pytest.raises(RequestError, match=f"One half has {left} of the {len(fewer)} questions"):
        halved_alike(fewer, whole)


def test_outputs_of_all_heads_are_of_one_other_question(kept: list[ByHead]) -> None:
    found = resampled(kept[0], kept[1:], 0)
    sources = [
        inputs for inputs in kept[1:] if all(bool((found[head] == inputs[head].z).all()) for head in inputs)
    ]
    assert len(sources) == 1
    # With another right label.
    assert next(iter(sources[0].values())).right != next(iter(kept[0].values())).right
