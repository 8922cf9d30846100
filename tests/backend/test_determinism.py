"""The same request twice gives the same bytes, on a fresh instrument, on a processor."""

import pytest

from backend.analyses import Findings, Task, analysis_named
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired, tiny

QUESTION = hand_wired.question(1)
PAIR = {"corruption": {"kind": "shuffle_labels"}}


def found(analysis: str, params: dict[str, object]) -> Findings:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    spec = PromptSpec(template="plain")
    request = Request.build(analysis, question=QUESTION, prompt=spec, params=params)
    return analysis_named(analysis).run(instrument, Task(request, (QUESTION,), ((),)), silent)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("analysis", "params"),
    [
        ("prediction", {}),
        ("attribution", {"head": [1, 2]}),
        ("attention", {"head": [1, 2]}),
        ("patching", {**PAIR, "positions": "final"}),
        ("effects", PAIR),
        ("paths", {**PAIR, "receiver": {"head": [2, 1]}}),
        ("attribution_patching", {**PAIR, "grad_drop": True, "verify": {}}),
    ],
)
def test_the_same_request_gives_the_same_bytes(analysis: str, params: dict[str, object]) -> None:
    first, second = found(analysis, params), found(analysis, params)
    assert first.arrays.keys() == second.arrays.keys()
    for name, part in first.arrays.items():
        assert part.values.tobytes() == second.arrays[name].values.tobytes(), name
    assert first.scalars == second.scalars
