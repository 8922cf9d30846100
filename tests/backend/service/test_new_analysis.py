"""A new analysis is one folder and one line in the registry: refused, keyed, described and run like all others."""

import importlib
from pathlib import Path

import pytest

from backend.analyses import ANALYSES
from backend.analyses.fetch import fetch
from backend.cli import main
from backend.contract.analysis import Analysis
from backend.contract.client import Client
from backend.contract.errors import RequestError
from backend.contract.request import Request
from backend.service.keys import store_key
from tests import hand_wired
from tests.backend.service.serving import MODEL
from tests.specs import differences

SCHEMA = '''"""What the analysis of this folder takes and gives. No torch."""

from backend.contract.analysis import Analysis, Lazy
from backend.contract.kinds import Number, TrueFalse
from backend.contract.param import Param
from backend.contract.spec import ArraySpec, ScalarSpec, When

DOUBTS = Analysis(
    name="doubts",
    version=1,
    summary="how unsure the model is of the letter",
    takes=("question",),
    run=Lazy("doubts_of_ours.doubts", "run"),
    params=(
        Param("temperature", Number(0, 10, above=True), "what the logits are divided by", default=1.0),
        Param("loud", TrueFalse(), "whether the terminal is told too", default=False, decides=False),
    ),
    arrays=(ArraySpec("probabilities", ("label",), "probability", "of the labels, at this temperature"),),
    scalars=(
        ScalarSpec("entropy", "of these probabilities", "nats"),
        ScalarSpec("answer", "the right label", when=When("where one is", lambda values: None)),
    ),
)
'''
RUN = '''"""How unsure the model is of the letter."""

import torch

from backend.analyses.findings import array
from backend.analyses.task import Findings
from doubts_of_ours.schema import DOUBTS


def run(instrument, task, progress):
    """The labels' probabilities at a temperature, and their entropy."""
    (prompt,) = task.prompts(instrument)
    logits = instrument.trace(prompt.token_ids, progress).logits[list(prompt.answer_ids)]
    found = torch.softmax(logits / DOUBTS.values(task.request)["temperature"], dim=-1)
    return Findings(
        arrays={"probabilities": array(found, ("label",), "probability")},
        ticks={"label": prompt.labels},
        scalars={"entropy": float(-(found * found.log()).sum())},
    )
'''


@pytest.fixture
def doubts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """The folder, and the line in the registry."""
    folder = tmp_path / "modules" / "doubts_of_ours"
    folder.mkdir(parents=True)
    for name, text in (("__init__", '"""Ours."""\n'), ("schema", SCHEMA), ("doubts", RUN)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder.parent)
    analysis: Analysis = importlib.import_module("doubts_of_ours.schema").DOUBTS
    monkeypatch.setitem(ANALYSES, analysis.name, analysis)
    return analysis


def asked(**params: object) -> Request:
    return Request.build(
        "doubts", model=MODEL, question=hand_wired.question(1), prompt=hand_wired.SPEC, params=params
    )


def test_it_is_refused_and_keyed_by_what_it_declares(doubts: Analysis, client: Client) -> None:
    for wrong, said in (
        ({"temperature": 0}, "params.temperature must be a number above 0, at most 10, not 0"),
        ({"warmth": 1}, "doubts has no parameter 'warmth'. Parameters: temperature, loud"),
    ):
        with pytest.raises(RequestError, match=said):
            client.submit(asked(**wrong))
    usual, *others = (
        store_key(fetch(asked(**params)), "model")
        for params in ({}, {"temperature": 1}, {"loud": True}, {"temperature": 2})
    )
    assert [other == usual for other in others] == [True, True, False]


def test_it_is_described(doubts: Analysis, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "doubts"]) == 0
    said = capsys.readouterr().out
    assert "How unsure the model is of the letter. Takes question. Version 1." in said
    assert "| `temperature` | a number above 0, at most 10 | `1.0` | what the logits are divided by |" in said
    assert "| `probabilities` | label | probability | of the labels, at this temperature |  |" in said
    assert main(["analyses"]) == 0
    assert "doubts\tquestion\thow unsure the model is of the letter" in capsys.readouterr().out


def test_it_runs_and_its_result_is_kept(doubts: Analysis, client: Client) -> None:
    job = client.submit(asked())
    assert client.wait(job, 60).state == "done"
    found = client.result(job)
    assert differences(asked(), found.arrays, found.scalars) == []
    assert found["probabilities"].argmax() == 1
    again = client.find(asked(temperature=1.0, loud=True))
    assert again is not None
    assert again.scalars == found.scalars
    assert client.find(asked(temperature=2)) is None
