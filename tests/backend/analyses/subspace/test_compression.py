"""Compression: what is patched is what patched queries and keys give, and the hand-wired head needs its dimensions."""

from typing import Any

import numpy as np
import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.subspace.compression_arrays import DRAWS, kept_shares
from backend.analyses.subspace.head_inputs import HeadInputs, HeadRow, Options, collect
from backend.analyses.subspace.replaced_outputs import run_replaced
from backend.analyses.subspace.schema import COMPRESSION
from backend.contract.errors import Cancelled, RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations
from backend.engine.sweep import Cell, OwnValues, Sweep, Wanted, run_sweep
from tests import hand_wired, tiny
from tests.backend.analyses.subspace.test_subspace import questions

PLAIN = PromptSpec(template="plain")


def task(head: list[int], count: int, **params: object) -> Task:
    asked = questions(count)
    request = Request.build("compression", questions=asked, prompt=PLAIN, params={"head": head, **params})
    COMPRESSION.check(request)
    return Task(request, asked, ((),) * count)


def found(instrument: Instrument, count: int = 16, **params: object) -> Findings:
    letter = hand_wired.CORRECT_LETTER
    return COMPRESSION.run(instrument, task([letter.layer, letter.head], count, **params), silent)


def one_head(instrument: Instrument, head: list[int]) -> tuple[HeadInputs, Options]:
    given = task(head, 1)
    options = Options.of(instrument, COMPRESSION.values(given.request))
    (inputs,), _ = collect(instrument, given, options, silent)
    return inputs, options


def test_a_query_is_patched_as_the_sweep_patches_it(family_instrument: Instrument) -> None:
    inputs, options = one_head(family_instrument, [1, 2])
    trace = family_instrument.trace(inputs.prompt.token_ids)
    rotations = Rotations(family_instrument, 1)
    query = inputs.q + torch.linspace(-0.4, 0.4, len(inputs.q)).clamp(-0.45, 0.45)
    slot = family_instrument.family.query(
        family_instrument.family.attention(family_instrument.family.layers(family_instrument.model)[1]),
        family_instrument.shape,
    )
    if slot.limit is not None:
        query = query.clamp(-slot.limit, slot.limit)
    read = HeadRow(trace, inputs, options.head, rotations).output(query[None], inputs.k[None], inputs.v[None])
    ours = run_replaced(family_instrument, inputs, {options.head: read.z}, silent)
    node = ("q", Cell(1, trace.positions - 1, 2))
    swept = run_sweep(
        family_instrument,
        Sweep(
            inputs.prompt.token_ids, OwnValues({(0, node): query}), [[node]], Wanted(inputs.prompt.answer_ids)
        ),
    )
    torch.testing.assert_close(ours.logits, swept.logits, atol=2e-5, rtol=1e-4)


def test_keys_and_values_are_patched_as_the_sweep_patches_them() -> None:
    # In the last layer of a model whose heads have keys and values of their own nobody else reads them.
    instrument = Instrument(tiny.loaded(tiny.tiny_model("gpt_neox"), tiny.tokenizer(), "gpt_neox"))
    inputs, options = one_head(instrument, [2, 1])
    trace = instrument.trace(inputs.prompt.token_ids)
    keys, values = inputs.k.flip(0) * 1.5, inputs.v.flip(0)
    read = HeadRow(trace, inputs, options.head, Rotations(instrument, 2)).output(
        inputs.q[None], keys[None], values[None]
    )
    ours = run_replaced(instrument, inputs, {options.head: read.z}, silent)
    given = {}
    for component, vectors in (("k", keys), ("v", values)):
        for position, vector in zip(inputs.positions, vectors, strict=True):
            given[(0, (component, Cell(2, position, 1)))] = vector
    nodes = [node for _, node in given]
    swept = run_sweep(
        instrument,
        Sweep(inputs.prompt.token_ids, OwnValues(given), [nodes], Wanted(inputs.prompt.answer_ids)),
    )
    torch.testing.assert_close(ours.logits, swept.logits, atol=2e-5, rtol=1e-4)


def test_three_dimensions_keep_the_hand_wired_head(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument)
    losses = result.arrays["loss"].values
    model, ablated = (float(result.arrays[name].values) for name in ("loss_model", "loss_ablated"))
    ranks = result.arrays["rank"].values.tolist()
    assert ranks == [0, 1, 2, 3, 4, 6, 8]
    assert losses[ranks.index(8)] == pytest.approx(model, abs=1e-4)
    assert losses[ranks.index(3)] == pytest.approx(model, abs=0.05)
    assert losses[0] > model + 0.5
    assert ablated > model + 0.5
    assert result.arrays["accuracy"].values[ranks.index(3)] == 1
    assert result.scalars["kept_share"] > 0.9
    assert result.scalars["kept_share"] > result.scalars["kept_share_random"] + 0.2
    assert (result.arrays["loss_random"].values[3] > losses[3] + 0.1).any()
    kl = result.arrays["kl"].values
    assert kl[0] > 0.5
    assert abs(kl[-1]) < 1e-4
    low, high = (result.arrays[f"loss_{end}"].values for end in ("low", "high"))
    assert (low <= losses).all()
    assert (losses <= high).all()
    for value, limit in result.checks.values():
        assert value < limit


def test_one_part_alone_changes_less_than_both(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument, ranks=[0, 1, 2])
    both = result.arrays["loss"].values
    for part in ("q", "k"):
        assert (result.arrays[f"loss_{part}"].values[1:] < both[1:] - 0.1).all()
    # A head whose values are all alike says no letter.
    assert result.arrays["loss_v"].values[0] > float(result.arrays["loss_model"].values) + 0.5


@pytest.mark.parametrize(
    ("adds", "kept"),
    [
        ([0.4, 0.5, 0.6, 0.5], 0.9),
        ([0.9, -0.8, 0.1, -0.15], None),  # 0.0125 in the mean, which is noise
        ([-0.4, -0.5, -0.6, -0.5], None),
        ([0.0, 0.0, 0.0, 0.0], None),
    ],
)
def test_a_share_is_told_only_of_a_contribution_that_is_told_apart_from_0(
    adds: list[float], kept: float | None
) -> None:
    model, adds_ = torch.tensor([0.1, 3.0, 1.0, 2.0]), torch.tensor(adds)
    at_rank, random = (model[:, None] + by for by in (0.05, 0.3))
    table = {
        "loss_model": model,
        "loss_ablated": model + adds_,
        "loss_resampled": model + torch.tensor([1.0, 1.1, 0.9, 1.0]),
        "loss": at_rank,
        **{f"loss_random{draw}": random for draw in range(DRAWS)},
    }
    shares = kept_shares(table, (3,), 3)
    assert shares["kept_share"] == (None if kept is None else pytest.approx(kept))
    assert shares["kept_share_random"] == (None if kept is None else pytest.approx(0.4))
    assert shares["kept_share_resampled"] == pytest.approx(0.95)
    assert shares["kept_share_random_resampled"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"ranks": []}, "params.ranks"),
        ({"ranks": [99]}, "A rank is 0 to 8"),
        ({"ranks": "all"}, "params.ranks"),
    ],
)
def test_bad_ranks(hand_wired_instrument: Instrument, params: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        found(hand_wired_instrument, **params)


def test_too_few_questions(hand_wired_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="needs at least 4"):
        found(hand_wired_instrument, 3)


def test_it_can_be_cancelled(hand_wired_instrument: Instrument) -> None:
    def stop(message: str, done: int = 0, total: int = 0) -> None:
        if done == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        COMPRESSION.run(hand_wired_instrument, task([1, 2], 8), stop)


def test_several_heads_together_and_each_alone(hand_wired_instrument: Instrument) -> None:
    asked = questions(12)
    request = Request.build(
        "compression", questions=asked, prompt=PLAIN, params={"heads": [[1, 2], [1, 0]], "ranks": [0, 3, 8]}
    )
    COMPRESSION.check(request)
    result = COMPRESSION.run(hand_wired_instrument, Task(request, asked, ((),) * 12), silent)
    assert result.ticks["head"] == ("L1H0", "L1H2")
    for number, head in enumerate(([1, 0], [1, 2])):
        alone = COMPRESSION.run(hand_wired_instrument, task(head, 12, ranks=[0, 3, 8]), silent)
        for name in ("loss", "loss_low", "accuracy", "kl", "net_logit_high", "loss_ablated"):
            ours = result.arrays[f"alone_{name}"].values[number]
            np.testing.assert_allclose(ours, alone.arrays[name].values, atol=1e-5)
        assert result.scalars["alone"][number]["head"] == alone.scalars["head"]
    assert result.scalars["alone"][1]["kept_share"] > 0.9
    model = float(result.arrays["loss_model"].values)
    assert result.arrays["loss"].values[-1] == pytest.approx(model, abs=1e-4)
    assert result.arrays["loss"].values[1] == pytest.approx(model, abs=0.05)
    assert result.arrays["loss"].values[0] > model + 0.5
    for value, limit in result.checks.values():
        assert value < limit


def test_each_of_several_heads_must_be_there_and_vary(hand_wired_instrument: Instrument) -> None:
    asked = questions(8)
    for heads, said in (
        ([[1, 0], [7, 0]], "no head L7H0"),
        ([[1, 2], [0, 1]], "All queries of L0H1 are the"),
    ):
        request = Request.build("compression", questions=asked, prompt=PLAIN, params={"heads": heads})
        with pytest.raises(RequestError, match=said):
            COMPRESSION.run(hand_wired_instrument, Task(request, asked, ((),) * 8), silent)


def test_label_logits_and_intervals(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument, ranks=[0, 3, 8])
    arrays = {name: one.values for name, one in result.arrays.items()}
    logits, right = arrays["label_logits"], arrays["right"].astype(int)
    assert logits.shape == (16, 3, 4)
    np.testing.assert_allclose(logits[:, -1], arrays["label_logits_model"], atol=1e-4)
    own = np.take_along_axis(logits, right[:, None, None], axis=2)[..., 0]
    net = own - (logits.sum(2) - own) / 3
    np.testing.assert_allclose(arrays["net_logit"], net.mean(0), atol=1e-4)
    np.testing.assert_allclose(arrays["accuracy"], (logits.argmax(2) == right[:, None]).mean(0), atol=1e-6)
    for name in ("loss", "accuracy", "kl", "net_logit"):
        for part in ("", "_q", "_k", "_v"):
            low, high = arrays[f"{name}{part}_low"], arrays[f"{name}{part}_high"]
            assert (low <= arrays[f"{name}{part}"] + 1e-6).all()
            assert (arrays[f"{name}{part}"] <= high + 1e-6).all()
        assert arrays[f"{name}_random"].shape == (3, 3)
    # Values alone leave attention as it was.
    assert arrays["kl_v"] == pytest.approx(0, abs=1e-5)
    assert arrays["net_logit_model"] > arrays["net_logit_ablated"] + 0.5
