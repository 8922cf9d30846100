"""Models without an adapter get cones and paths where their layers can be called alone, and only there."""

from pathlib import Path
from typing import Any

import pytest
import torch

from backend.analyses.checks.layers_alone import layers_run_alone
from backend.analyses.checks.self_check import refuse_failed, self_check
from backend.analyses.circuit.paths import run
from backend.analyses.task import Task
from backend.contract.errors import RequestError
from backend.contract.model import ModelSpec
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell
from backend.models import load
from benchmarks.small_models import save_small_model
from tests.backend.engine.sweep.one_component import sweep_cells

IDS, OTHER = (1, 2, 3, 4, 5, 6), (1, 2, 9, 4, 5, 6)
QUESTION = Question("What color is a raven?", ("red", "black", "white"), 1)


def checked(name: str, folder: Path, **how: str) -> Instrument:
    save_small_model(name, folder)
    instrument = Instrument(load(ModelSpec(str(folder), **{"dtype": "float32", "device": "cpu", **how})))
    assert not instrument.family.listed
    assert not instrument.family.layer_by_layer
    refuse_failed(name, self_check(instrument))
    return instrument


def engine_of(instrument: Instrument) -> str:
    return sweep_cells(instrument, IDS, OTHER, "z", [Cell(0, 2, 0)], (5, 6)).engine


def paths(instrument: Instrument) -> Any:
    params = {"corruption": {"kind": "shuffle_labels"}, "receiver": {"head": [2, 1]}}
    request = Request.build("paths", question=QUESTION, prompt=PromptSpec(template="plain"), params=params)
    return run(instrument, Task(request, (QUESTION,), ((),)), silent)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("apertus", {}),
        ("nemotron", {}),
        ("cohere2_moe", {}),
        ("granitemoe", {"dtype": "bfloat16"}),
        ("vaultgemma", {"quantization": "4bit"}),
    ],
)
def test_layers_that_can_be_called_alone_are(name: str, how: dict[str, str], tmp_path: Path) -> None:
    instrument = checked(name, tmp_path, **how)
    assert engine_of(instrument) == "cone"
    found = paths(instrument)
    assert found.checks["oracle_error"][0] <= found.checks["oracle_error"][1]


@pytest.mark.slow
def test_where_a_norm_comes_after_the_rotation_they_are_not(tmp_path: Path) -> None:
    instrument = checked("llama4_text", tmp_path)
    assert engine_of(instrument) == "full"
    with pytest.raises(RequestError, match="the self-check found that they give other numbers alone"):
        paths(instrument)


def test_neither_are_layers_that_count_their_calls(tmp_path: Path) -> None:
    """Such a layer gives the same in every pass of the model, and something else when it is called alone."""
    instrument = checked("arcee", tmp_path)
    layer = instrument.family.layers(instrument.model)[1]
    layer.register_forward_hook(lambda _, args, output: output * (1 if output.shape[1] == len(IDS) else 1.01))
    assert not layers_run_alone(instrument, IDS)
    assert engine_of(instrument) == "full"


def test_whatever_a_layer_raises_it_is_not_called_alone_again(tmp_path: Path) -> None:
    instrument = checked("arcee", tmp_path)

    def refuse(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if args[0].shape[1] != len(IDS):
            raise ZeroDivisionError("all rows or none")

    instrument.family.layers(instrument.model)[1].register_forward_pre_hook(refuse)
    assert not layers_run_alone(instrument, IDS)
    assert not instrument.family.layer_by_layer
