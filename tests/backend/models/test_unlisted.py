"""Architectures without an adapter, as a user brings them: a folder is loaded and checked, or refused in a sentence."""

import json
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
from backend.engine.attention_call import refuse_unread
from backend.engine.instrument import Instrument
from backend.models import load
from backend.models.families import family_of
from backend.models.families.by_structure import ByStructure
from benchmarks.families import independent_error
from benchmarks.small_models import save_small_model


def checked(folder: Path, **how: str) -> Instrument:
    """A folder's model, after its self-check."""
    instrument = Instrument(load(ModelSpec(str(folder), device="cpu", **{"dtype": "float32", **how})))
    refuse_failed("it", self_check(instrument))
    return instrument


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["apertus", "flex_olmo", "arcee", "cohere2_moe", "cohere_compass_text"])
def test_queries_and_keys_with_norms_are_found_in_a_folder(name: str, tmp_path: Path) -> None:
    save_small_model(name, tmp_path)
    instrument = checked(tmp_path)
    assert not instrument.family.listed
    assert independent_error(instrument) < 1e-5


@pytest.mark.parametrize(
    "how",
    [
        {},
        pytest.param({"dtype": "bfloat16"}, marks=pytest.mark.slow),
        pytest.param({"quantization": "8bit"}, marks=pytest.mark.slow),
        pytest.param({"quantization": "4bit"}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", ["granite_swa", "gpt_oss"])
def test_learned_sinks_are_refused_however_the_model_is_held(
    name: str, how: dict[str, str], tmp_path: Path
) -> None:
    save_small_model(name, tmp_path)
    with pytest.raises(ModelError, match="their attention has learned sinks"):
        checked(tmp_path, **how)


HELD = [
    {},
    pytest.param({"dtype": "bfloat16"}, marks=pytest.mark.slow),
    pytest.param({"quantization": "8bit"}, marks=pytest.mark.slow),
    pytest.param({"quantization": "4bit"}, marks=pytest.mark.slow),
    pytest.param({"quantization": "fp4"}, marks=pytest.mark.slow),
]


def save_scaled(folder: Path) -> None:
    """A model whose logits are multiplied with 1.005 where, by structure, they are divided by it: as little as what
    4 bits round."""
    changes = {"use_post_norm": False, "logits_scaling": 1.005}
    save_small_model("hyperclovax", folder, changes)


@pytest.mark.parametrize("how", HELD)
def test_a_small_misfit_does_not_pass_as_rounding(how: dict[str, str], tmp_path: Path) -> None:
    save_scaled(tmp_path)
    name = "float32_readout_error" if how else "readout_error"
    with pytest.raises(
        ModelError, match=rf"self-check: {name} 0\.\d+ \(limit 0.0001\)\..* Choose another model"
    ):
        checked(tmp_path, **how)


@pytest.mark.parametrize("how", HELD)
def test_what_fits_is_accepted_however_it_is_held(how: dict[str, str], tmp_path: Path) -> None:
    save_small_model("vaultgemma", tmp_path)
    assert not checked(tmp_path, **how).family.listed


def test_the_command_line_refuses_a_small_misfit_in_4_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_scaled(tmp_path / "model")
    request = tmp_path / "request.json"
    model = {"name": str(tmp_path / "model"), "quantization": "4bit"}
    request.write_text(json.dumps({"analysis": "self-check", "model": model}), encoding="utf-8")
    assert main(["run", str(request), "--out", str(tmp_path / "out")]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("letterheads:"))
    assert "float32_readout_error" in line
    assert line.endswith("Choose another model.")


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "qwen3_next",
            "'qwen3_next' are not served: their layers are of the kinds full_attention, linear_attention",
        ),
        ("zamba2", "their layers are of the kinds hybrid, linear_attention"),
        ("gemma4_unified_text", r"their layers differ in head_dim \(per_layer_config\)"),
        ("mllama", "transformers has no model of its type that goes on with a text"),
        ("blt", "there is no num_hidden_layers in its config"),
        ("gemma3n_text", "layer 0, resid_pre has 192 numbers a token, where the config says 48"),
        ("laguna", "layer 0, q has 576 numbers a token, where the config says 48"),
        ("moshi", r"no one weight matrix in its o_proj, a MoshiLinear\. Choose another model"),
    ],
)
def test_models_of_other_layers_are_refused_in_a_sentence(name: str, message: str, tmp_path: Path) -> None:
    save_small_model(name, tmp_path)
    with pytest.raises(ModelError, match=message):
        checked(tmp_path)


def test_a_model_that_does_not_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    save_small_model("stablelm", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["rope_parameters"]["partial_rotary_factor"] = 0.25  # of 12 numbers 3, and a rotation takes pairs
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=r"does not run: its own code in transformers ends with 'RuntimeError"
    ):
        checked(tmp_path)


def test_a_setting_of_attention_that_nobody_reads_is_refused() -> None:
    module = nn.Identity()
    refuse_unread(module, {"scaling": 0.5, "softcap": None, "dropout": 0.0, "output_router_logits": False})
    for name in ("position_bias", "made_up"):
        with pytest.raises(ModelError, match=f"Identity also uses {name}"):
            refuse_unread(module, {"scaling": 0.5, name: 1.0})
    with pytest.raises(ModelError, match=r"Identity also uses learned sinks \(s_aux\), which is not served"):
        refuse_unread(module, {"s_aux": 1.0})


def test_whatever_a_trial_raises_is_a_refusal_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: ByStructure, model: Any) -> None:
        raise ZeroDivisionError("something in\nthere")

    save_small_model("apertus", tmp_path)
    monkeypatch.setattr(ByStructure, "__init__", broken)
    with pytest.raises(ModelError, match=r"'apertus' are not known.*ZeroDivisionError: something in there"):
        load(ModelSpec(str(tmp_path), device="cpu"))
    with pytest.raises(ModelError):
        family_of(AutoModelForCausalLM.from_pretrained(tmp_path))


def test_the_command_line_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_small_model("granite_swa", tmp_path / "model")
    request = tmp_path / "request.json"
    request.write_text(
        f'{{"analysis": "self-check", "model": {{"name": "{tmp_path / "model"}"}}}}', encoding="utf-8"
    )
    assert main(["run", str(request), "--out", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "learned sinks" in lines[-1]
    assert sum(line.startswith("letterheads:") for line in lines) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["at once", "by the host"])
def test_ten_refusals_in_a_row_are_ten_times_one_line(kind: str, tmp_path: Path) -> None:
    """Five of each kind, each a process of its own, as a person types it."""
    name = tmp_path / "missing"
    if kind == "by the host":
        save_small_model("granite_swa", name)
    request = tmp_path / "request.json"
    request.write_text(f'{{"analysis": "self-check", "model": {{"name": "{name}"}}}}', encoding="utf-8")
    command = [sys.executable, "-m", "backend", "run", str(request), "--out", str(tmp_path / "out")]
    for _ in range(5):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert [line[:13] for line in ended.stderr.splitlines()] == ["letterheads: "], ended.stderr
