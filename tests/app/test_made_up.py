"""The stand-in for the backend gives what the analyses declare, array by array."""

from typing import Any

import pytest

from backend.analyses import ANALYSES
from backend.contract.request import QuestionSet, Request
from tests.app.made_up import BANK, made_up
from tests.app.made_up.nodes import OF_NODES
from tests.backend.analyses.test_specs import OF_ONE, OF_SEVERAL
from tests.specs import differences

REQUESTS = (
    *((name, params, {"question": BANK[0]}) for name, params in OF_ONE),
    *((name, params, {"questions": QuestionSet("copy-colors", 5)}) for name, params in OF_SEVERAL),
    ("self-check", {}, {}),
)


@pytest.mark.parametrize(("name", "params", "about"), REQUESTS)
def test_made_up_results_are_as_declared(name: str, params: dict[str, Any], about: dict[str, Any]) -> None:
    request = Request.build(name, params=params, **about)
    found = made_up(request)
    assert differences(request, found.arrays, found.scalars) == []


def test_every_analysis_is_made_up() -> None:
    assert {name for name, *_ in REQUESTS} == {*ANALYSES}


def test_what_drifts_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    make = OF_NODES["prediction"]
    request = Request.build("prediction", question=BANK[0])
    for change in ({"lens": ([[1.0]], ("layer", "axis"))}, {"extra": ([1.0], ("label",))}):
        monkeypatch.setitem(
            made_up.__globals__["MAKERS"],
            "prediction",
            lambda *given, change=change: ({**make(*given)[0], **change}, *make(*given)[1:]),
        )
        with pytest.raises(AssertionError, match="declare"):
            made_up(request)
