"""A metric and a corruption that are new: a card and a function each, and the sweep runs with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backend.analyses import Task
from backend.analyses.patching import corruptions, metrics
from backend.analyses.patching.corruptions import Clean, Corrupted
from backend.analyses.patching.schema import PATCHING
from backend.contract.corruptions import CORRUPTIONS, Corruption
from backend.contract.errors import RequestError
from backend.contract.metrics import LABEL, METRICS, Metric
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTION = hand_wired.question(1)


def doubled(runs: metrics.LabelLogits, labels: Mapping[str, int]) -> metrics.Values:
    return 2 * metrics.VALUES["net_logit"](runs, labels)


def other_stem(instrument: Instrument, clean: Clean, data: Mapping[str, Any]) -> Corrupted:
    asked = instrument.prompt(replace(clean.question, stem="pick delta"), clean.spec, clean.shots)
    return Corrupted(asked.token_ids, tuple(range(len(asked.token_ids))), asked.roles, "another stem")


def task(corruption: str, metric: str) -> Task:
    params = {"corruption": {"kind": corruption}, "metric": {"kind": metric, "label": "B"}}
    request = Request.build("patching", question=QUESTION, prompt=hand_wired.SPEC, params=params)
    return Task(request, (QUESTION,), ((),))


def test_a_new_metric_and_a_new_corruption_are_run(
    hand_wired_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="no metric 'doubled'"):
        PATCHING.values(task("swap_options", "doubled").request)
    card = Metric(name="doubled", title="Twice", help="twice the net logit", fields=(LABEL,), unit="twos")
    monkeypatch.setitem(METRICS, "doubled", card)
    monkeypatch.setitem(metrics.VALUES, "doubled", doubled)
    monkeypatch.setitem(CORRUPTIONS, "stem", Corruption(name="stem", title="Stem", help="another stem"))
    monkeypatch.setitem(corruptions.MAKERS, "stem", other_stem)
    once, twice = (
        PATCHING.run(hand_wired_instrument, task("stem", metric), silent)
        for metric in ("net_logit", "doubled")
    )
    assert twice.scalars["corruption"] == "another stem"
    assert twice.arrays["values"].unit == "twos"
    np.testing.assert_allclose(twice.arrays["values"].values, 2 * once.arrays["values"].values, rtol=1e-6)
