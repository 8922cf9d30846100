"""Estimates are right to first order everywhere, and for queries and keys beyond it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from backend.contract.components import COMPONENTS
from backend.engine.first_order import by_pattern, changes
from backend.engine.gradients import Gradients, forward
from backend.engine.instrument import Instrument
from backend.engine.pattern import full_pattern, patterns
from backend.engine.sweep import all_cells, components_of
from backend.engine.trace import Trace
from tests import tiny
from tests.backend.engine.sweep.one_component import sweep_cells
from tests.slots import with_value

BASE = (5, 17, 42, 7, 99, 120, 3, 250, 64, 8, 31, 77)
SOURCE = (5, 17, 42, 9, 99, 120, 11, 250, 64, 8, 30, 77)
FIRST = 3
TOKENS = (1, 77)
STEPS = {
    "qwen2": 3e-4,
    "mistral": 3e-4,
    "gemma2": 5e-5,
    "granite": 3e-4,
    "mixtral": 3e-4,
    "olmo": 2e-4,
    "stablelm parallel": 2e-3,
    "gpt_neox": 1e-3,
    "falcon new": 1e-3,
    "opt": 2e-3,
}
"""Families that differ in what estimates hang on, such as windows, soft caps, multipliers, experts, clamps and fused
projections, and how far two tokens may be apart: the less, the more the family bends."""


def difference(logits: Tensor) -> Tensor:
    return logits[..., TOKENS[0]] - logits[..., TOKENS[1]]


def gradients_of(instrument: Instrument) -> Gradients:
    graph = forward(instrument, BASE)
    return graph.gradients(difference(graph.logits))


@pytest.fixture(scope="module", params=STEPS)
def nearly_equal(request: pytest.FixtureRequest) -> Instrument:
    """A model to which the tokens that the two prompts differ in are almost the same."""
    name = request.param
    model = tiny.tiny_model(name)
    torch.manual_seed(1)
    words = model.get_input_embeddings().weight
    for mine, other in zip(BASE, SOURCE, strict=True):
        if mine != other:
            words[other] = words[mine] + STEPS[name] * torch.randn(words.shape[1])
    return Instrument(tiny.loaded(model, tiny.tokenizer(), f"nearly {name}"))


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("component", "qk_fix"), [*((name, True) for name in COMPONENTS), ("q", False), ("k", False)]
)
def test_small_differences_change_what_is_estimated(
    nearly_equal: Instrument, component: str, qk_fix: bool
) -> None:
    if component not in components_of(nearly_equal.shape):
        pytest.skip(f"{nearly_equal.resolved.name} has no {component}")
    base, source = nearly_equal.trace(BASE), nearly_equal.trace(SOURCE)
    estimated = changes(base, source, gradients_of(nearly_equal), qk_fix=qk_fix)[component]
    cells = all_cells(component, nearly_equal.shape, range(len(BASE)))
    swept = sweep_cells(nearly_equal, BASE, SOURCE, component, cells, TOKENS)
    exact = swept.logits[:, 0] - swept.logits[:, 1] - difference(base.logits)
    assert estimated.numel() == len(cells)
    assert exact.abs().max() > 4e-5
    error = (estimated.flatten() - exact).abs().max()
    assert error < 0.03 * exact.abs().max() + 3e-6
    # Cells that can change nothing are estimated to change nothing.
    assert (estimated[..., :FIRST].abs() < 1e-7).all()


def by_hand(
    base: Trace, source: Trace, gradients: Gradients, layer: int, position: int
) -> tuple[Tensor, Tensor]:
    """The changes with one position's query, and with its key, exchanged: the pattern in full, times its gradient."""
    own = patterns(base, layer, base.q_rotated[layer], base.k_rotated[layer])
    query, key = base.q_rotated[layer].clone(), base.k_rotated[layer].clone()
    query[:, position] = source.q_rotated[layer, :, position]
    key[:, position] = source.k_rotated[layer, :, position]
    found = []
    for pattern in (
        patterns(base, layer, query, base.k_rotated[layer]),
        patterns(base, layer, base.q_rotated[layer], key),
    ):
        found.append(((pattern - own) * by_pattern(base, gradients, layer)).sum((1, 2)))
    return found[0], found[1].view(len(key), -1).sum(1)


def saturated(instrument: Instrument, sharpness: int) -> Instrument:
    """The family's model with queries so long that most rows look at one key alone."""
    model = tiny.tiny_model(instrument.resolved.name)
    sharp = Instrument(tiny.loaded(model, tiny.tokenizer(), f"saturated {instrument.resolved.name}"))
    for layer in sharp.family.layers(model):
        slot = sharp.family.query(sharp.family.attention(layer), sharp.shape)
        slot.module.register_forward_hook(
            lambda _, args, output, slot=slot: with_value(slot, output, slot.read(output) * sharpness)
        )
    return sharp


@pytest.mark.parametrize("sharpness", [1, 30, 1000])
@pytest.mark.parametrize(
    "family_instrument", ["qwen2", "mistral", "gemma2", "olmo", "phi qk", "falcon new"], indirect=True
)
def test_queries_and_keys_have_their_softmax_computed_again(
    family_instrument: Instrument, sharpness: int
) -> None:
    """Also in rows so saturated that all other weights are 0."""
    instrument = saturated(family_instrument, sharpness) if sharpness > 1 else family_instrument
    base, source = instrument.trace(BASE), instrument.trace(SOURCE)
    gradients = gradients_of(instrument)
    estimated = changes(base, source, gradients, qk_fix=True)
    bounded = base.softcaps[1] is not None or getattr(instrument.model.config, "clip_qkv", None)
    if sharpness > 1 and not bounded:
        weights = torch.stack([full_pattern(base, 1, head) for head in range(instrument.shape.heads)])
        assert (weights.amax(-1) > 0.999).float().mean() > 0.5
    for layer in range(instrument.shape.layers):
        for position in range(FIRST, len(BASE)):
            queries, keys = by_hand(base, source, gradients, layer, position)
            close: dict[str, Any] = {"atol": 2e-5, "rtol": 1e-3}
            torch.testing.assert_close(estimated["q"][layer, :, position], queries, **close)
            torch.testing.assert_close(estimated["k"][layer, :, position], keys, **close)


def test_a_run_against_itself_changes_nothing(family_instrument: Instrument) -> None:
    base = family_instrument.trace(BASE)
    gradients = gradients_of(family_instrument)
    for fix in (True, False):
        for name, values in changes(base, base, gradients, qk_fix=fix).items():
            assert values.abs().max() < 1e-12, name
            heads = COMPONENTS[name].head_count(family_instrument.shape)
            assert values.shape == (3, *([] if heads is None else [heads]), len(BASE))
