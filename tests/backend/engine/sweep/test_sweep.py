"""The cone gives the numbers of whole forward passes, whatever is patched, in every family."""

import dataclasses
import math
import random

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backend.contract.components import COMPONENTS
from backend.contract.errors import Cancelled, RequestError, ResourceError
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    Cell,
    Sweep,
    Swept,
    Wanted,
    all_cells,
    batching,
    components_of,
    each_alone,
    experiments,
    recheck,
    run_source,
    run_sweep,
)
from tests import hand_wired, tiny
from tests.backend.engine.hooks import count_hooks
from tests.backend.engine.sweep.one_component import sweep_cells
from tests.backend.engine.sweep.prompts import CLEAN, CLOSE, CORRUPTED, FIRST, TOKENS, need, ragged


def rechecked(
    instrument: Instrument,
    base: tuple[int, ...],
    source: tuple[int, ...],
    component: str,
    cells: list[Cell],
    swept: Swept,
) -> float:
    wanted = Wanted(TOKENS, swept.logsumexp is not None)
    own = run_source(instrument, base, source)
    return recheck(instrument, Sweep(base, own, each_alone(component, cells), wanted), swept)


@pytest.mark.sampled
@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("component", COMPONENTS)
def test_cones_are_whole_passes(family_instrument: Instrument, component: str, direction: str) -> None:
    need(family_instrument, component)
    base, source = (CORRUPTED, CLEAN) if direction == "denoise" else (CLEAN, CORRUPTED)
    cells = ragged(family_instrument, component, seed=len(component) + (direction == "noise"))
    arguments = (family_instrument, base, source, component, cells, TOKENS)
    cones = sweep_cells(*arguments, vocabulary=True)
    whole = sweep_cells(*arguments, vocabulary=True, engine="full")
    assert (cones.engine, whole.engine) == ("cone", "full")
    torch.testing.assert_close(cones.logits, whole.logits, **CLOSE)
    torch.testing.assert_close(cones.logsumexp, whole.logsumexp, **CLOSE)
    assert rechecked(*arguments[:5], cones) < 1e-5


@pytest.mark.parametrize("component", COMPONENTS)
def test_almost_every_cell_that_is_run_changes_the_logits(
    family_instrument: Instrument, component: str
) -> None:
    need(family_instrument, component)
    cells = all_cells(component, family_instrument.shape, range(len(CLEAN)))
    swept = sweep_cells(family_instrument, CORRUPTED, CLEAN, component, cells, TOKENS)
    base = sweep_cells(family_instrument, CORRUPTED, CORRUPTED, component, cells[:1], TOKENS).logits
    changed = int((swept.logits != base).any(-1).sum())
    # A sliding window of 7 puts some late cells out of the last row's sight.
    assert changed > 0.6 * (len(cells) - swept.skipped)


@given(
    ids=st.lists(st.tuples(st.integers(0, 319), st.integers(0, 319)), min_size=1, max_size=20),
    component=st.sampled_from(sorted(COMPONENTS)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=8, deadline=None)
def test_any_pair_of_prompts(
    family_instrument: Instrument, ids: list[tuple[int, int]], component: str, seed: int
) -> None:
    assume(component in components_of(family_instrument.shape))
    base, source = (tuple(column) for column in zip(*ids, strict=True))
    cells = all_cells(component, family_instrument.shape, range(len(ids)))
    cells = random.Random(seed).sample(cells, min(len(cells), 12))
    arguments = (family_instrument, base, source, component, cells, TOKENS)
    torch.testing.assert_close(
        sweep_cells(*arguments).logits, sweep_cells(*arguments, engine="full").logits, **CLOSE
    )


@pytest.mark.parametrize("seed", range(4))
def test_sets_patched_together_are_whole_passes(family_instrument: Instrument, seed: int) -> None:
    """Nodes of any components at any places, two of them never at the same: which wins would be a matter of taste."""
    dice = random.Random(seed)
    everything = [
        (component, cell)
        for component in components_of(family_instrument.shape)
        for cell in all_cells(component, family_instrument.shape, range(len(CLEAN)))
    ]
    sets = []
    for size in (0, 1, 2, 3, 5, 8, 13):
        nodes = {(cell.layer, cell.position): (name, cell) for name, cell in dice.sample(everything, size)}
        sets.append(list(nodes.values()))
    sets.append([("z", Cell(1, 11, head)) for head in range(family_instrument.shape.heads)])
    source = run_source(family_instrument, CORRUPTED, CLEAN)
    asked = Sweep(CORRUPTED, source, sets, Wanted(TOKENS, final=True))
    cones, whole = run_sweep(family_instrument, asked), run_sweep(family_instrument, asked, engine="full")
    assert cones.skipped == whole.skipped >= 1
    torch.testing.assert_close(cones.logits, whole.logits, **CLOSE)
    torch.testing.assert_close(cones.final, whole.final, **CLOSE)


def test_all_heads_and_mlps_of_a_row_are_the_other_run() -> None:
    """Patching every write to the last row makes the base run say what the source run says."""
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    final = len(CLEAN) - 1
    nodes = [(name, Cell(layer, final)) for name in ("attn_out", "mlp_out") for layer in range(3)]
    swept = run_sweep(
        instrument, Sweep(CORRUPTED, run_source(instrument, CORRUPTED, CLEAN), [nodes], Wanted(TOKENS))
    )
    with torch.no_grad():
        source = instrument.model(torch.tensor([CLEAN])).logits[0, -1, list(TOKENS)]
    torch.testing.assert_close(swept.logits[0], source, **CLOSE)


def test_the_first_residual_patched_is_the_token_exchanged(family_instrument: Instrument) -> None:
    """Ties both engines to something that neither computes: a pass of the prompt with one other token."""
    cells = [Cell(0, position) for position in (3, 6, 10)]
    for engine in ("cone", "full"):
        swept = sweep_cells(family_instrument, CORRUPTED, CLEAN, "resid_pre", cells, TOKENS, engine=engine)
        for cell, logits in zip(cells, swept.logits, strict=True):
            ids = list(CORRUPTED)
            ids[cell.position] = CLEAN[cell.position]
            with torch.no_grad():
                own = family_instrument.model(torch.tensor([ids])).logits[0, -1, list(TOKENS)]
            torch.testing.assert_close(logits, own, **CLOSE)


def test_cells_that_can_change_nothing_are_skipped(family_instrument: Instrument) -> None:
    shape = family_instrument.shape
    cells = all_cells("z", shape, range(len(CLEAN)))
    swept = sweep_cells(family_instrument, CORRUPTED, CLEAN, "z", cells, TOKENS)
    last_layer = shape.heads * (len(CLEAN) - FIRST - 1)
    assert swept.skipped == shape.layers * shape.heads * FIRST + last_layer
    with torch.no_grad():
        base = family_instrument.model(torch.tensor([CORRUPTED]), logits_to_keep=1).logits[
            0, -1, list(TOKENS)
        ]
    grid = swept.logits.view(shape.layers, shape.heads, len(CLEAN), -1)
    assert torch.equal(grid[:, :, :FIRST], base.expand_as(grid[:, :, :FIRST]))
    keys = all_cells("k", shape, range(len(CLEAN)))
    assert (
        sweep_cells(family_instrument, CORRUPTED, CLEAN, "k", keys, TOKENS).skipped
        == shape.layers * shape.kv_heads * FIRST
    )


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few cells a pass and a few rows a call."""
    monkeypatch.setattr(batching, "PROCESSOR", batching.Limits(rows=20, flops=1e6))


@pytest.mark.usefixtures("in_small_parts")
@pytest.mark.parametrize("component", ["z", "v", "resid_pre"])
def test_the_least_memory_and_small_parts_give_the_same_numbers(
    family_instrument: Instrument, component: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = ragged(family_instrument, component, seed=4)
    arguments = (family_instrument, CORRUPTED, CLEAN, component, cells, TOKENS)
    source, sets = run_source(family_instrument, CORRUPTED, CLEAN), each_alone(component, cells)
    run = experiments(family_instrument, CORRUPTED, source, sets)
    enough = batching.least_budget(family_instrument, len(CORRUPTED), run)
    monkeypatch.setattr(batching, "LEAST_ROWS", 1)
    least = batching.least_budget(family_instrument, len(CORRUPTED), run)
    assert least < enough
    finished: list[list[int]] = []
    cramped = sweep_cells(
        *arguments, budget_bytes=least, on_done=lambda numbers, *_: finished.append(numbers)
    )
    torch.testing.assert_close(cramped.logits, sweep_cells(*arguments).logits, **CLOSE)
    assert len(finished) > 3
    assert sorted(number for numbers in finished for number in numbers) == list(range(len(cells)))
    with pytest.raises(
        ResourceError, match=r"Patching needs at least 64\.\d MB of memory here and may take 64\.\d MB"
    ):
        sweep_cells(*arguments, budget_bytes=least - 1)


@pytest.mark.usefixtures("in_small_parts")
@pytest.mark.parametrize("engine", ["cone", "full"])
def test_a_cancelled_sweep_leaves_the_model_as_it_was(family_instrument: Instrument, engine: str) -> None:
    hooks, usual = count_hooks(family_instrument), family_instrument.model.config._attn_implementation
    cells = ragged(family_instrument, "z", seed=6)
    arguments = (family_instrument, CORRUPTED, CLEAN, "z", cells, TOKENS)
    whole = sweep_cells(*arguments)
    kept: dict[int, torch.Tensor] = {}

    def keep(numbers: list[int], logits: torch.Tensor, _: torch.Tensor | None) -> None:
        kept.update(zip(numbers, logits, strict=True))

    def cancel(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Patching") and done > total / 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        sweep_cells(*arguments, engine=engine, progress=cancel, on_done=keep)
    assert whole.skipped < len(kept) < len(cells)
    for number, logits in kept.items():
        torch.testing.assert_close(logits, whole.logits[number], **CLOSE)
    assert count_hooks(family_instrument) == hooks
    assert family_instrument.model.config._attn_implementation == usual


def test_a_whole_pass_can_be_cancelled_between_its_layers() -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    hooks, cell = count_hooks(instrument), Cell(1, 11)
    swept = sweep_cells(instrument, CORRUPTED, CLEAN, "mlp_out", [cell], TOKENS)
    source, sets = run_source(instrument, CORRUPTED, CLEAN), each_alone("mlp_out", [cell])
    asked: list[str] = []

    def cancel(message: str, done: int = 0, total: int = 0) -> None:
        asked.append(message)
        if len(asked) > 1:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        recheck(instrument, Sweep(CORRUPTED, source, sets, Wanted(TOKENS)), swept, progress=cancel)
    assert all(message.startswith("Re-checking") for message in asked)
    assert count_hooks(instrument) == hooks


@pytest.mark.parametrize("component", ["resid_pre", "z", "k"])
def test_progress_ends_at_its_total(family_instrument: Instrument, component: str) -> None:
    steps: list[tuple[int, int]] = []

    def note(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Patching"):
            steps.append((done, total))

    cells = ragged(family_instrument, component, seed=7)
    sweep_cells(family_instrument, CORRUPTED, CLEAN, component, cells, TOKENS, progress=note)
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


def test_denoising_finds_the_hand_wired_head(hand_wired_instrument: Instrument) -> None:
    clean, corrupted = (
        hand_wired_instrument.prompt(hand_wired.question(right), hand_wired.SPEC) for right in (2, 0)
    )
    shape, tokens = hand_wired_instrument.shape, len(clean.token_ids)
    cells = all_cells("z", shape, range(tokens))
    answers = (clean.answer_ids[2], clean.answer_ids[0])
    swept = sweep_cells(hand_wired_instrument, corrupted.token_ids, clean.token_ids, "z", cells, answers)
    difference = (swept.logits[:, 0] - swept.logits[:, 1]).view(shape.layers, shape.heads, tokens)
    found = {
        tuple(int(i) for i in torch.unravel_index(number, difference.shape))
        for number in difference.flatten().topk(2).indices
    }
    final = tokens - 1
    right = {hand_wired.GATHERER, hand_wired.CORRECT_LETTER}
    assert found == {(head.layer, head.head, final) for head in right}


@pytest.mark.parametrize("name", ["qwen2", "gemma2", "mixtral", "gpt2", "falcon new"])
def test_a_bfloat16_model_is_patched_in_its_own_precision(name: str) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model(name).to(torch.bfloat16), tiny.tokenizer(), "bfloat"))
    cells = ragged(instrument, "z", seed=8)
    arguments = (instrument, CORRUPTED, CLEAN, "z", cells, TOKENS)
    cones, whole = sweep_cells(*arguments).logits, sweep_cells(*arguments, engine="full").logits
    assert cones.dtype == torch.float32
    assert (cones - whole).abs().max() < 0.05 * whole.abs().max()


def test_a_model_whose_rows_depend_on_their_batch_is_run_whole() -> None:
    loaded = tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "eight bits")
    loaded = dataclasses.replace(loaded, resolved=dataclasses.replace(loaded.resolved, quantization="8bit"))
    swept = sweep_cells(Instrument(loaded), CORRUPTED, CLEAN, "mlp_out", [Cell(1, 11)], TOKENS)
    assert swept.engine == "full"


def test_prompts_of_different_lengths_and_unknown_engines(family_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="12 and 11"):
        sweep_cells(family_instrument, CORRUPTED, CLEAN[:-1], "z", [], TOKENS)
    with pytest.raises(RequestError, match="Engines: cone, full"):
        sweep_cells(family_instrument, CORRUPTED, CLEAN, "z", [], TOKENS, engine="fast")


def test_no_cells_and_equal_prompts_are_nothing_to_do(family_instrument: Instrument) -> None:
    assert sweep_cells(family_instrument, CORRUPTED, CLEAN, "z", [], TOKENS).logits.shape == (0, 3)
    cells = all_cells("z", family_instrument.shape, range(len(CLEAN)))
    swept = sweep_cells(family_instrument, CLEAN, CLEAN, "z", cells, TOKENS)
    assert swept.skipped == len(cells)
    assert rechecked(family_instrument, CLEAN, CLEAN, "z", cells, swept) == 0


def test_what_is_no_number_fails_the_recheck(family_instrument: Instrument) -> None:
    cells = [Cell(1, 11), Cell(0, 10), Cell(0, 11)]
    swept = sweep_cells(family_instrument, CORRUPTED, CLEAN, "mlp_out", cells, TOKENS)
    swept.logits[1, 0] = float("nan")
    source, sets = run_source(family_instrument, CORRUPTED, CLEAN), each_alone("mlp_out", cells)
    for count in (1, 3):
        asked = Sweep(CORRUPTED, source, sets, Wanted(TOKENS))
        error = recheck(family_instrument, asked, swept, count=count)
        assert math.isnan(error)
