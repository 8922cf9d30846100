"""The self-check passes on every family, fails on wrong facts, and decides over a family that is not listed."""

import dataclasses

import pytest
import torch

from backend.analyses.checks.self_check import refuse_failed, self_check
from backend.contract.errors import ModelError
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell
from backend.models.families import Family, family_of
from backend.models.families.by_structure import ByStructure
from backend.models.families.granite import Granite
from tests import tiny
from tests.backend.engine.sweep.one_component import sweep_cells


def instrument_of(name: str, monkeypatch: pytest.MonkeyPatch, **config: object) -> Instrument:
    monkeypatch.setitem(tiny.FAMILY_CONFIGS, name, {**tiny.FAMILY_CONFIGS.get(name, {}), **config})
    return Instrument(tiny.loaded(tiny.tiny_model(name), tiny.tokenizer(), name))


def test_every_family_passes(family_instrument: Instrument) -> None:
    checks = self_check(family_instrument)
    refuse_failed("a model", checks)
    assert len(checks) == 7
    assert all(value < 2e-5 for value, _ in checks.values())


@pytest.mark.parametrize("name", tiny.FAMILY_CONFIGS)
def test_half_precision_is_within_its_own_limits(name: str) -> None:
    loaded = tiny.loaded(tiny.tiny_model(name).to(torch.bfloat16), tiny.tokenizer(), name)
    resolved = dataclasses.replace(loaded.resolved, dtype="bfloat16")
    checks = self_check(Instrument(dataclasses.replace(loaded, resolved=resolved)))
    refuse_failed(name, checks)
    assert checks["heads_error"][0] > 1e-5
    structure = {figure: value for figure, value in checks.items() if figure.startswith("float32_")}
    assert len(structure) == 7
    assert all(value < 2e-5 for value, _ in structure.values())
    assert {limit for _, limit in structure.values()} == {1e-3, 1e-4}


class NoMultiplier(Granite):
    def multiplier(self, layer: object) -> float:
        return 1.0


class NoDivisor(Granite):
    def logit_divisor(self, config: object) -> float:
        return 1.0


class KeysForQueries(Granite):
    query_at = "o_proj"


class WrongValues(Granite):
    value_at = "k_proj"


class MlpTooEarly(Granite):
    mlp_at = "post_attention_layernorm"


@pytest.mark.parametrize(
    ("failed", "advice"), [("logits_error", "Try dtype"), ("float32_logits_error", "Choose")]
)
def test_another_dtype_is_advised_only_where_the_error_is_rounding(failed: str, advice: str) -> None:
    checks = {"logits_error": (0.0, 0.1), "float32_logits_error": (0.0, 1e-4)}
    with pytest.raises(ModelError, match=f"{failed} 1 .*{advice}"):
        refuse_failed("a model", {**checks, failed: (1.0, 0.1)})
    with pytest.raises(ModelError, match="Choose another model"):
        refuse_failed("a model in float32", {"logits_error": (1.0, 1e-4)})


@pytest.mark.parametrize(
    ("facts", "failed"),
    [
        (NoMultiplier(), {"identity_error", "residual_error"}),
        (NoDivisor(), {"readout_error"}),
        (KeysForQueries(), {"rotary_error"}),
        (WrongValues(), {"pattern_error"}),
        (MlpTooEarly(), {"identity_error", "residual_error"}),
    ],
)
def test_wrong_facts_fail(monkeypatch: pytest.MonkeyPatch, facts: Family, failed: set[str]) -> None:
    monkeypatch.setattr("backend.engine.instrument.family_of", lambda model: facts)
    checks = self_check(instrument_of("granite", monkeypatch))
    assert {name for name, (value, limit) in checks.items() if not value <= limit} == failed


# Norms before, after or both; LayerNorm; norms of queries for all heads together; one block beside the other; experts.
@pytest.mark.parametrize(
    "name", ["arcee", "nemotron", "flex_olmo", "cohere2_moe", "apertus", "glm", "phimoe"]
)
@pytest.mark.sampled
def test_a_family_that_is_not_listed_is_found_by_structure(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instrument = instrument_of(name, monkeypatch, pad_token_id=0)
    assert not instrument.family.listed
    checks = self_check(instrument)
    refuse_failed(name, checks)
    assert all(value < 1e-4 for value, _ in checks.values())
    cone, full = (
        sweep_cells(instrument, (1, 2, 3, 4), (1, 2, 9, 4), "z", [Cell(0, 2, 0)], (5, 6), engine=engine)
        for engine in ("cone", "full")
    )
    assert cone.engine == "cone"
    assert (cone.logits - full.logits).abs().max() < 1e-5
    with torch.no_grad():
        own = instrument.model(torch.tensor([[1, 2, 3, 4]])).logits[0, -1, [5, 6]]
    assert (cone.logits[0] - own).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hyperclovax", "residual_error"),  # further norms after the sublayers, of other names
        ("bitnet", "pattern_error"),  # a norm before the output projection
        (
            "bloom",
            "'bloom' are not known, .* there is no q_proj. Choose another model. Supported: llama, mistral",
        ),
        (
            "mamba",
            "'mamba' are not served: their layers are of the kinds linear_attention, .* Supported: llama",
        ),
    ],
)
def test_what_is_not_as_it_seems_is_refused(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=message):
        refuse_failed(name, self_check(instrument_of(name, monkeypatch, pad_token_id=0)))


UNUSUAL = {"falcon", "gpt2", "gpt_neox", "opt", "phi3"}


def test_parts_are_found_as_they_are_declared(family_instrument: Instrument) -> None:
    """By structure a family that is listed has the same parts, but for glm4, whose norms have names of its own; those
    with fused queries, and opt, are refused."""
    model = family_instrument.model
    listed = family_of(model)
    if model.config.model_type == "glm4":
        assert ByStructure(model).attention_norm_at is None
        return
    if model.config.model_type in UNUSUAL:
        with pytest.raises(ModelError, match=r"by its structure .* there is no (q_proj|mlp)"):
            ByStructure(model)
        return
    found = ByStructure(model)
    for part in (
        "layers_at",
        "final_norm_at",
        "attention_at",
        "output_at",
        "attention_norm_at",
        "mlp_norm_at",
    ):
        assert getattr(found, part) == getattr(listed, part)
