"""Path patching against runs of the whole model in which hooks hold everything between sender and receiver still."""

from contextlib import ExitStack

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from backend.engine.instrument import Instrument
from backend.engine.paths import INPUTS, residual_change, senders, through_heads
from backend.engine.sweep import Cell, OwnValues, Pairing, Sweep, Wanted, run_sweep
from backend.engine.writes import head_changes, mlp_writes
from backend.models.families import Slot
from tests import tiny
from tests.slots import set_to

CLEAN = (5, 17, 42, 7, 99, 120, 3, 250, 64, 8, 31, 77)
OTHER = (5, 17, 42, 9, 99, 120, 11, 250, 64, 8, 30, 77)
PAIRING = Pairing(CLEAN, OTHER)


def captured(
    instrument: Instrument, layer: int, sender: tuple[str, int], change: Tensor
) -> dict[str, Tensor]:
    """Query, key and value of `layer` in a whole pass where every write is the clean run's but for `change`."""
    family, base, shape = instrument.family, instrument.trace(CLEAN), instrument.shape
    kept: dict[str, Tensor] = {}

    with ExitStack() as stack:
        for number, block in enumerate(family.layers(instrument.model)):
            attention = family.attention(block)
            for kind, slot, clean in (
                ("head", family.attn_out(block, shape), base.attn_out[number]),
                ("mlp", family.mlp_out(block, shape), base.mlp_out[number]),
            ):
                value = clean + change if (kind, number) == sender else clean
                stack.callback(set_to(slot, value).remove)
            if number == layer:
                for name in ("query", "key", "value"):
                    part = getattr(family, name)(attention, shape)

                    def keep(
                        _: object, args: object, output: Tensor, name: str = name, part: Slot = part
                    ) -> None:
                        kept[name] = part.read(output)

                    stack.callback(part.module.register_forward_hook(keep).remove)
        with torch.no_grad():
            instrument.model(torch.tensor([CLEAN]))
    return kept


@pytest.mark.parametrize("sender", [("head", 0), ("mlp", 0), ("head", 1), ("mlp", 1)])
def test_a_query_sees_the_sender_and_nothing_else(
    family_instrument: Instrument, sender: tuple[str, int]
) -> None:
    base, other = family_instrument.trace(CLEAN), family_instrument.trace(OTHER)
    sent = senders(family_instrument, base, other, PAIRING, 2)
    change = sent.heads[sender[1]][3] if sender[0] == "head" else sent.mlps[sender[1]]
    assert change.abs().max() > 1e-3
    z = through_heads(family_instrument, base, 2, change[None])
    final, wanted = len(CLEAN) - 1, Wanted((1, 77, 300))
    seen = captured(family_instrument, 2, sender, change)
    for head in range(family_instrument.shape.heads):
        ours = OwnValues({(0, ("z", Cell(2, final, head))): z[0, INPUTS.index("query"), head]})
        theirs = OwnValues({(0, ("q", Cell(2, final, head))): seen["query"][final, head]})
        found = run_sweep(family_instrument, Sweep(CLEAN, ours, [[("z", Cell(2, final, head))]], wanted))
        expected = run_sweep(
            family_instrument, Sweep(CLEAN, theirs, [[("q", Cell(2, final, head))]], wanted), engine="full"
        )
        torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["key", "value"])
def test_keys_and_values_of_one_head(name: str) -> None:
    """With a key of its own for every head, in the last layer, where only the final row is read."""
    torch.manual_seed(3)
    config = AutoConfig.for_model("llama", **{**tiny.SIZES, "num_key_value_heads": 4})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    instrument = Instrument(tiny.loaded(model.eval().requires_grad_(False), tiny.tokenizer(), "own keys"))
    base, other = instrument.trace(CLEAN), instrument.trace(OTHER)
    change = senders(instrument, base, other, PAIRING, 1).heads[0][2]
    z = through_heads(instrument, base, 2, change[None])[0, INPUTS.index(name)]
    seen = captured(instrument, 2, ("head", 0), change)[name]
    final, wanted = len(CLEAN) - 1, Wanted((1, 77, 300))
    for head in range(4):
        component = name[0]
        nodes = [(component, Cell(2, position, head)) for position in range(len(CLEAN))]
        theirs = OwnValues({(0, node): seen[node[1].position, head] for node in nodes})
        ours = OwnValues({(0, ("z", Cell(2, final, head))): z[head]})
        found = run_sweep(instrument, Sweep(CLEAN, ours, [[("z", Cell(2, final, head))]], wanted))
        expected = run_sweep(instrument, Sweep(CLEAN, theirs, [nodes], wanted), engine="full")
        torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)


def test_nothing_changed_gives_what_the_heads_give(family_instrument: Instrument) -> None:
    base = family_instrument.trace(CLEAN)
    z = through_heads(family_instrument, base, 1, torch.zeros(2, len(CLEAN), family_instrument.shape.d_model))
    for number in range(3):
        torch.testing.assert_close(z[1, number], base.z[1, -1], atol=1e-5, rtol=1e-4)


def test_all_senders_together_are_the_residual_change(family_instrument: Instrument) -> None:
    """What all nodes below a layer write otherwise is how its input differs, but for a norm after attention."""
    if family_instrument.family.attention_norm_at is not None:
        pytest.skip("a head's write depends on what the others write")
    base, other = family_instrument.trace(CLEAN), family_instrument.trace(OTHER)
    sent = senders(family_instrument, base, other, PAIRING, 2)
    total = sent.embedding + sum(heads.sum(0) for heads in sent.heads) + sum(sent.mlps)
    torch.testing.assert_close(
        total, residual_change(base, other, PAIRING, 2, after_attention=False), atol=1e-4, rtol=1e-4
    )


def test_positions_without_a_counterpart_stay_clean(family_instrument: Instrument) -> None:
    longer = (5, 17, 42, 9, 99, 13, 120, 11, 250, 64, 8, 30, 77)
    pairing = Pairing(CLEAN, longer, (0, 1, 2, None, 4, *range(6, 13)))
    base, other = family_instrument.trace(CLEAN), family_instrument.trace(longer)
    change = senders(family_instrument, base, other, pairing, 0).embedding
    assert (change[3] == 0).all()
    torch.testing.assert_close(change[6], other.resid_pre[0, 7] - base.resid_pre[0, 6])


def test_writes_are_the_models_own(family_instrument: Instrument) -> None:
    base, other = family_instrument.trace(CLEAN), family_instrument.trace(OTHER)
    changes = head_changes(family_instrument, 1, base.z[1], other.z[1])
    for position in (3, 11):
        for head in range(family_instrument.shape.heads):
            z = base.z[1, position].clone()
            z[head] = other.z[1, position, head]
            matrix, offset = family_instrument.weights.written(1, z)
            written = torch.einsum("he,dhe->d", z, matrix) + (0 if offset is None else offset)
            expected = written - base.attn_out[1, position]
            torch.testing.assert_close(changes[head, position], expected, atol=1e-4, rtol=1e-4)
    writes = mlp_writes(family_instrument, base, 1, base.before_mlp(1))
    torch.testing.assert_close(writes, base.mlp_out[1], atol=1e-5, rtol=1e-4)
