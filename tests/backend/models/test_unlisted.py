"""Architectures without an adapter, as a user brings them: a folder is loaded and checked, or refused in a sentence."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from transformers import AutoModelForCausalLM

from backend.analyses.checks.self_check import refuse_failed, self_check
from backend.cli import main
from backend.contract.errors import ModelError
from backend.contract.model import ModelSpec
from backend.engine.attention_hook import refuse_unread
from backend.engine.instrument import Instrument
from backend.models import load
from backend.models.families import family_of
from backend.models.families.by_structure import ByStructure
from benchmarks.families import independent_error, saved


def checked(folder: Path, **how: str) -> Instrument:
    """A folder's model, after its self-check."""
    instrument = Instrument(load(ModelSpec(str(folder), device="cpu", **{"dtype": "float32", **how})))
    refuse_failed("it", self_check(instrument))
    return instrument


@pytest.mark.parametrize("name", ["exaone4", "olmo3", "smollm3", "cohere"])
def test_queries_and_keys_with_norms_are_found_in_a_folder(name: str, tmp_path: Path) -> None:
    saved(name, tmp_path)
    instrument = checked(tmp_path)
    assert not instrument.family.listed
    assert independent_error(instrument) < 1e-5


@pytest.mark.parametrize(
    "how", [{}, {"dtype": "bfloat16"}, {"quantization": "8bit"}, {"quantization": "4bit"}]
)
@pytest.mark.parametrize("name", ["granite_swa", "gpt_oss"])
def test_learned_sinks_are_refused_however_the_model_is_held(
    name: str, how: dict[str, str], tmp_path: Path
) -> None:
    saved(name, tmp_path)
    with pytest.raises(ModelError, match="s_aux, which is not served"):
        checked(tmp_path, **how)


def test_a_setting_of_attention_that_nobody_reads_is_refused() -> None:
    module = nn.Identity()
    refuse_unread(module, {"scaling": 0.5, "softcap": None, "dropout": 0.0, "output_router_logits": False})
    for name in ("s_aux", "position_bias", "made_up"):
        with pytest.raises(ModelError, match=f"Identity also uses {name}"):
            refuse_unread(module, {"scaling": 0.5, name: 1.0})


def test_whatever_a_trial_raises_is_a_refusal_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: ByStructure, model: Any) -> None:
        raise ZeroDivisionError("something in\nthere")

    saved("exaone4", tmp_path)
    monkeypatch.setattr(ByStructure, "__init__", broken)
    with pytest.raises(ModelError, match=r"'exaone4' are not known.*ZeroDivisionError: something in there"):
        load(ModelSpec(str(tmp_path), device="cpu"))
    with pytest.raises(ModelError):
        family_of(AutoModelForCausalLM.from_pretrained(tmp_path))


def test_the_command_line_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved("granite_swa", tmp_path / "model")
    request = tmp_path / "request.json"
    request.write_text(
        f'{{"analysis": "self-check", "model": {{"name": "{tmp_path / "model"}"}}}}', encoding="utf-8"
    )
    assert main(["run", str(request), "--out", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "s_aux" in lines[-1]
    assert sum(line.startswith("letterheads:") for line in lines) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["at once", "by the host"])
def test_ten_refusals_in_a_row_are_ten_times_one_line(kind: str, tmp_path: Path) -> None:
    """Five of each kind, each a process of its own, as a person types it."""
    name = tmp_path / "missing"
    if kind == "by the host":
        saved("granite_swa", name)
    request = tmp_path / "request.json"
    request.write_text(f'{{"analysis": "self-check", "model": {{"name": "{name}"}}}}', encoding="utf-8")
    command = [sys.executable, "-m", "backend", "run", str(request), "--out", str(tmp_path / "out")]
    for _ in range(5):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert [line[:13] for line in ended.stderr.splitlines()] == ["letterheads: "], ended.stderr
