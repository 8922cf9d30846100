"""What a family declares, what it refuses, and where a slot's activation stands."""

import pytest
import torch
from torch import nn

from backend.contract.errors import ModelError
from backend.models.families import FAMILIES, Family, Norm, Slot, family_of, known_types
from tests import tiny


def test_every_type_has_one_family_and_a_tiny_model() -> None:
    assert len(set(known_types())) == len(known_types())
    assert {name.split()[0] for name in tiny.FAMILY_CONFIGS} == set(known_types())
    assert all(family.listed for family in FAMILIES)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("opt", {"do_layer_norm_before": False}, "This opt model puts its norms after the residual stream"),
        ("opt", {"word_embed_proj_dim": 32}, "embeddings of width 32 for a residual stream of 48"),
        ("opt", {"_remove_final_layer_norm": True}, "no norm before the unembedding"),
        ("falcon", {"alibi": True}, "This falcon model adds position biases"),
        ("gpt2", {"add_cross_attention": True}, "attends to another model"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "looks at later tokens"),
    ],
)
def test_what_is_not_served_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, config: dict[str, object], message: str
) -> None:
    monkeypatch.setitem(tiny.FAMILY_CONFIGS, name, {**tiny.FAMILY_CONFIGS[name], **config})
    with pytest.raises(ModelError, match=message):
        family_of(tiny.tiny_model(name))


def test_a_slot_of_a_fused_projection() -> None:
    """Two heads of two, the second and third of three blocks; halved, and clamped at 3."""
    slot = Slot(nn.Identity(), size=2, total=3, blocks=(1, 2), factor=0.5, limit=3.0)
    output = torch.arange(12.0).reshape(1, 2, 6)
    read = [[[1.0, 1.5], [1.5, 1.5]], [[1.5, 1.5], [1.5, 1.5]]]
    assert slot.read(output).tolist() == read
    slot.write(output, torch.tensor([1]), torch.tensor([0]), torch.tensor([[0.25, 1.0]]))
    assert output[0].tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 0.5, 2, 10, 11]]
    assert slot.read(output)[1, 0].tolist() == [0.25, 1.0]
    assert slot.gradient(torch.ones(1, 2, 6)).tolist() == [[[2.0, 2.0]] * 2] * 2


def test_a_slot_with_heads_first() -> None:
    slot = Slot(nn.Identity(), size=2, total=2, blocks=(0, 1), heads_first=True)
    output = torch.arange(12.0).reshape(1, 2, 3, 2)
    assert slot.read(output)[2].tolist() == [[4, 5], [10, 11]]
    slot.write(output, torch.tensor([2]), torch.tensor([1]), torch.tensor([[-1.0, -2.0]]))
    assert output[0, 1].tolist() == [[6, 7], [8, 9], [-1, -2]]


@pytest.mark.parametrize("bias", [True, False])
def test_a_frozen_norm_is_the_norm_where_it_was_frozen(bias: bool) -> None:
    torch.manual_seed(0)
    module, vector = nn.LayerNorm(6, eps=0.1, bias=bias), torch.randn(6) + 2
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    frozen = Family().norm(module).frozen(vector)
    torch.testing.assert_close(frozen.applied(vector), module(vector))
    parts = torch.stack([vector * 0.3, vector * 0.7])
    total = frozen.linear(parts).sum(0) + (module.bias if bias else 0)
    torch.testing.assert_close(total, module(vector))


def test_a_norm_that_is_not_centred() -> None:
    module, vector = nn.RMSNorm(6, eps=0.1), torch.arange(6.0)
    torch.testing.assert_close(Norm(0.1, module.weight).frozen(vector).applied(vector), module(vector))
    torch.testing.assert_close(Norm(0.1, None).frozen(vector).applied(vector), module(vector))
