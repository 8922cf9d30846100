"""The cone gives the numbers of whole forward passes, whatever is patched, in every family."""

import dataclasses
import random

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    COMPONENTS,
    Cell,
    OwnValues,
    RunSource,
    Swept,
    Wanted,
    all_cells,
    components_of,
    cone,
    each_alone,
    experiments,
    recheck,
    run_source,
    sweep,
    sweep_sets,
)
from backend.engine.sweep.cone import ConePass, RowLimit
from backend.engine.sweep.layer_call import call_layer
from backend.errors import Cancelled, RequestError, ResourceError
from tests import hand_wired, tiny

CLEAN = (5, 17, 42, 7, 99, 120, 3, 250, 64, 8, 31, 77)
CORRUPTED = (5, 17, 42, 9, 99, 120, 11, 250, 64, 8, 30, 77)
FIRST = 3
TOKENS = (1, 77, 300)
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def need(instrument: Instrument, component: str) -> None:
    if component not in components_of(instrument.shape):
        pytest.skip(f"{instrument.resolved.name} has no {component}")


def ragged(instrument: Instrument, component: str, seed: int, share: float = 0.3) -> list[Cell]:
    """A random share of all cells, in a random order."""
    cells = all_cells(component, instrument.shape, range(len(CLEAN)))
    return random.Random(seed).sample(cells, int(share * len(cells)))


def rechecked(
    instrument: Instrument,
    base: tuple[int, ...],
    source: tuple[int, ...],
    component: str,
    cells: list[Cell],
    swept: Swept,
) -> float:
    wanted = Wanted(TOKENS, swept.logsumexp is not None)
    return recheck(
        instrument, base, run_source(instrument, base, source), each_alone(component, cells), wanted, swept
    )


def count_hooks(instrument: Instrument) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in instrument.model.modules())


@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("component", COMPONENTS)
def test_cones_are_whole_passes(family_instrument: Instrument, component: str, direction: str) -> None:
    need(family_instrument, component)
    base, source = (CORRUPTED, CLEAN) if direction == "denoise" else (CLEAN, CORRUPTED)
    cells = ragged(family_instrument, component, seed=len(component) + (direction == "noise"))
    arguments = (family_instrument, base, source, component, cells, TOKENS)
    cones = sweep(*arguments, vocabulary=True)
    whole = sweep(*arguments, vocabulary=True, engine="full")
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
    swept = sweep(family_instrument, CORRUPTED, CLEAN, component, cells, TOKENS)
    base = sweep(family_instrument, CORRUPTED, CORRUPTED, component, cells[:1], TOKENS).logits
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
    torch.testing.assert_close(sweep(*arguments).logits, sweep(*arguments, engine="full").logits, **CLOSE)


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
    arguments = (family_instrument, CORRUPTED, source, sets, Wanted(TOKENS, final=True))
    cones, whole = sweep_sets(*arguments), sweep_sets(*arguments, engine="full")
    assert cones.skipped == whole.skipped >= 1
    torch.testing.assert_close(cones.logits, whole.logits, **CLOSE)
    torch.testing.assert_close(cones.final, whole.final, **CLOSE)


def test_values_of_ones_own_are_put_like_a_runs(family_instrument: Instrument) -> None:
    """The other run's values, given one by one, and each experiment its own: numbers are not mixed up."""
    recorded = family_instrument.trace(CLEAN)
    sets = [[("z", Cell(1, 7, 3)), ("k", Cell(0, 6, 0))], [("mlp_out", Cell(0, 5))], [("z", Cell(1, 7, 3))]]
    values = {
        (number, (component, cell)): getattr(recorded, component)[
            (cell.layer, cell.position) if cell.head is None else (cell.layer, cell.position, cell.head)
        ]
        for number, nodes in enumerate(sets)
        for component, cell in nodes
    }
    values[2, ("z", Cell(1, 7, 3))] = torch.ones(family_instrument.shape.d_head)
    own, wanted = OwnValues(values), Wanted(TOKENS)
    cones = sweep_sets(family_instrument, CORRUPTED, own, sets, wanted)
    whole = sweep_sets(family_instrument, CORRUPTED, own, sets, wanted, engine="full")
    torch.testing.assert_close(cones.logits, whole.logits, **CLOSE)
    of_run = run_source(family_instrument, CORRUPTED, CLEAN)
    expected = sweep_sets(family_instrument, CORRUPTED, of_run, sets, wanted).logits
    torch.testing.assert_close(cones.logits[:2], expected[:2], **CLOSE)
    assert (cones.logits[2] - expected[2]).abs().max() > 1e-3


LONGER = (5, 17, 42, 9, 99, 13, 120, 11, 250, 64, 8, 30, 77)
MATCH = (0, 1, 2, 3, 4, *range(6, 13))
BACK = (0, 1, 2, 3, 4, None, *range(5, 12))


@pytest.mark.parametrize("component", sorted(set(COMPONENTS) - {"pattern"}))
def test_prompts_of_different_length(family_instrument: Instrument, component: str) -> None:
    need(family_instrument, component)
    shape = family_instrument.shape
    for base, source, match in ((CLEAN, LONGER, MATCH), (LONGER, CLEAN, BACK)):
        matched = [position for position, other in enumerate(match) if other is not None]
        cells = all_cells(component, shape, matched)
        cells = random.Random(1).sample(cells, len(cells) // 3)
        arguments = (family_instrument, base, source, component, cells, TOKENS)
        cones = sweep(*arguments, match=match)
        whole = sweep(*arguments, match=match, engine="full")
        torch.testing.assert_close(cones.logits, whole.logits, **CLOSE)
    if shape.model_type in ("gpt2", "opt"):  # their embeddings say which position it is
        return
    token = sweep(family_instrument, CLEAN, LONGER, "resid_pre", [Cell(0, 6)], TOKENS, match=MATCH)
    with torch.no_grad():
        ids = [*CLEAN[:6], LONGER[7], *CLEAN[7:]]
        own = family_instrument.model(torch.tensor([ids])).logits[0, -1, list(TOKENS)]
    torch.testing.assert_close(token.logits[0], own, **CLOSE)


def test_what_has_no_counterpart_is_refused(family_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="Position 5 has no counterpart"):
        sweep(family_instrument, LONGER, CLEAN, "z", [Cell(0, 5, 0)], TOKENS, match=BACK)
    with pytest.raises(RequestError, match="tokens stand in the same places"):
        sweep(family_instrument, CLEAN, LONGER, "pattern", [Cell(0, 11, 0)], TOKENS, match=MATCH)


def test_all_heads_and_mlps_of_a_row_are_the_other_run() -> None:
    """Patching every write to the last row makes the base run say what the source run says."""
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    final = len(CLEAN) - 1
    nodes = [(name, Cell(layer, final)) for name in ("attn_out", "mlp_out") for layer in range(3)]
    swept = sweep_sets(
        instrument, CORRUPTED, run_source(instrument, CORRUPTED, CLEAN), [nodes], Wanted(TOKENS)
    )
    with torch.no_grad():
        source = instrument.model(torch.tensor([CLEAN])).logits[0, -1, list(TOKENS)]
    torch.testing.assert_close(swept.logits[0], source, **CLOSE)


def test_the_first_residual_patched_is_the_token_exchanged(family_instrument: Instrument) -> None:
    """Ties both engines to something that neither computes: a pass of the prompt with one other token."""
    cells = [Cell(0, position) for position in (3, 6, 10)]
    for engine in ("cone", "full"):
        swept = sweep(family_instrument, CORRUPTED, CLEAN, "resid_pre", cells, TOKENS, engine=engine)
        for cell, logits in zip(cells, swept.logits, strict=True):
            ids = list(CORRUPTED)
            ids[cell.position] = CLEAN[cell.position]
            with torch.no_grad():
                own = family_instrument.model(torch.tensor([ids])).logits[0, -1, list(TOKENS)]
            torch.testing.assert_close(logits, own, **CLOSE)


class Everything(RunSource):
    """Does not know that prompts agree."""

    def unchanged(self, cell: Cell) -> bool:
        return False


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_run_patched_into_itself_stays(family_instrument: Instrument, component: str) -> None:
    """Not by skipping: every cell goes through its cone."""
    need(family_instrument, component)
    base, shape = family_instrument.trace(CLEAN), family_instrument.shape
    source = Everything(run_source(family_instrument, CLEAN, CLEAN).pairing, base)
    sets = each_alone(component, all_cells(component, shape, range(len(CLEAN))))
    run = experiments(family_instrument, CLEAN, source, sets)
    assert len(run) > len(sets) / 2
    final = ConePass(family_instrument, base, source, run, RowLimit(50), lambda rows: None).run()
    expected = base.resid_final[-1].expand_as(final)
    torch.testing.assert_close(final, expected, atol=2e-5, rtol=1e-5)


def test_cells_that_can_change_nothing_are_skipped(family_instrument: Instrument) -> None:
    shape = family_instrument.shape
    cells = all_cells("z", shape, range(len(CLEAN)))
    swept = sweep(family_instrument, CORRUPTED, CLEAN, "z", cells, TOKENS)
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
        sweep(family_instrument, CORRUPTED, CLEAN, "k", keys, TOKENS).skipped
        == shape.layers * shape.kv_heads * FIRST
    )


@pytest.mark.parametrize("component", ["z", "v", "resid_pre"])
def test_a_tiny_budget_gives_the_same_numbers(family_instrument: Instrument, component: str) -> None:
    cells = ragged(family_instrument, component, seed=4)
    arguments = (family_instrument, CORRUPTED, CLEAN, component, cells, TOKENS)
    finished: list[list[int]] = []
    cramped = sweep(*arguments, budget_bytes=8000, on_done=lambda numbers, *_: finished.append(numbers))
    torch.testing.assert_close(cramped.logits, sweep(*arguments).logits, **CLOSE)
    assert len(finished) > 3
    assert sorted(number for numbers in finished for number in numbers) == list(range(len(cells)))
    with pytest.raises(ResourceError, match="budget"):
        sweep(*arguments, budget_bytes=500)


def test_out_of_memory_halves_the_batch_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("llama"), tiny.tokenizer(), "llama"))
    cells = ragged(instrument, "z", seed=5)
    arguments = (instrument, CORRUPTED, CLEAN, "z", cells, TOKENS)
    expected = sweep(*arguments).logits
    room, sizes = 20, []

    def short_of_memory(*args, **kwargs):
        sizes.append(len(args[3]))
        if len(args[3]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return call_layer(*args, **kwargs)

    monkeypatch.setattr(cone, "call_layer", short_of_memory)
    torch.testing.assert_close(sweep(*arguments).logits, expected, **CLOSE)
    assert sum(size > room for size in sizes) < 8
    room = 2
    with pytest.raises(ResourceError, match="rows of one cell"):
        sweep(*arguments)


@pytest.mark.parametrize("engine", ["cone", "full"])
def test_a_cancelled_sweep_leaves_the_model_as_it_was(family_instrument: Instrument, engine: str) -> None:
    hooks, usual = count_hooks(family_instrument), family_instrument.model.config._attn_implementation
    cells = ragged(family_instrument, "z", seed=6)
    arguments = (family_instrument, CORRUPTED, CLEAN, "z", cells, TOKENS)
    whole = sweep(*arguments)
    kept: dict[int, torch.Tensor] = {}

    def keep(numbers: list[int], logits: torch.Tensor, _: torch.Tensor | None) -> None:
        kept.update(zip(numbers, logits, strict=True))

    def cancel(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Patching") and done > total / 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        sweep(*arguments, engine=engine, budget_bytes=8000, progress=cancel, on_done=keep)
    assert whole.skipped < len(kept) < len(cells)
    for number, logits in kept.items():
        torch.testing.assert_close(logits, whole.logits[number], **CLOSE)
    assert count_hooks(family_instrument) == hooks
    assert family_instrument.model.config._attn_implementation == usual


@pytest.mark.parametrize("component", ["resid_pre", "z", "k"])
def test_progress_ends_at_its_total(family_instrument: Instrument, component: str) -> None:
    steps: list[tuple[int, int]] = []

    def note(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Patching"):
            steps.append((done, total))

    cells = ragged(family_instrument, component, seed=7)
    sweep(family_instrument, CORRUPTED, CLEAN, component, cells, TOKENS, progress=note)
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


def test_denoising_finds_the_hand_wired_head(hand_wired_instrument: Instrument) -> None:
    clean, corrupted = (
        hand_wired_instrument.prompt(hand_wired.question(right), hand_wired.SPEC) for right in (2, 0)
    )
    shape, tokens = hand_wired_instrument.shape, len(clean.token_ids)
    cells = all_cells("z", shape, range(tokens))
    answers = (clean.answer_ids[2], clean.answer_ids[0])
    swept = sweep(hand_wired_instrument, corrupted.token_ids, clean.token_ids, "z", cells, answers)
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
    cones, whole = sweep(*arguments).logits, sweep(*arguments, engine="full").logits
    assert cones.dtype == torch.float32
    assert (cones - whole).abs().max() < 0.05 * whole.abs().max()


def test_a_model_whose_rows_depend_on_their_batch_is_run_whole() -> None:
    loaded = tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "eight bits")
    loaded = dataclasses.replace(loaded, resolved=dataclasses.replace(loaded.resolved, quantization="8bit"))
    swept = sweep(Instrument(loaded), CORRUPTED, CLEAN, "mlp_out", [Cell(1, 11)], TOKENS)
    assert swept.engine == "full"


@pytest.mark.parametrize(
    ("component", "cell", "message"),
    [
        ("resid", Cell(0, 11), "Unknown component 'resid'"),
        ("z", Cell(0, 11), "needs a head"),
        ("mlp_out", Cell(0, 11, 0), "has no heads"),
        ("z", Cell(3, 11, 0), "Layer 3 is out of range: there are 3"),
        ("z", Cell(0, 12, 0), "Position 12 is out of range: there are 12"),
        ("z", Cell(0, -1, 0), "Position -1"),
        ("z", Cell(0, 11, 4), "Head 4"),
        ("k", Cell(0, 11, 4), "Kv head 4"),
    ],
)
def test_cells_that_there_are_not(
    family_instrument: Instrument, component: str, cell: Cell, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        sweep(family_instrument, CORRUPTED, CLEAN, component, [cell], TOKENS)


def test_prompts_of_different_lengths_and_unknown_engines(family_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="12 and 11"):
        sweep(family_instrument, CORRUPTED, CLEAN[:-1], "z", [], TOKENS)
    with pytest.raises(RequestError, match="Engines: cone, full"):
        sweep(family_instrument, CORRUPTED, CLEAN, "z", [], TOKENS, engine="fast")


def test_no_cells_and_equal_prompts_are_nothing_to_do(family_instrument: Instrument) -> None:
    assert sweep(family_instrument, CORRUPTED, CLEAN, "z", [], TOKENS).logits.shape == (0, 3)
    cells = all_cells("z", family_instrument.shape, range(len(CLEAN)))
    swept = sweep(family_instrument, CLEAN, CLEAN, "z", cells, TOKENS)
    assert swept.skipped == len(cells)
    assert rechecked(family_instrument, CLEAN, CLEAN, "z", cells, swept) == 0


def test_nothing_between_attention_and_mlp_that_are_side_by_side(family_instrument: Instrument) -> None:
    if not family_instrument.shape.parallel:
        all_cells("resid_mid", family_instrument.shape, (11,))
        return
    model_type = family_instrument.shape.model_type
    for refused in (
        lambda: all_cells("resid_mid", family_instrument.shape, (11,)),
        lambda: sweep(family_instrument, CORRUPTED, CLEAN, "resid_mid", [Cell(0, 11)], TOKENS),
    ):
        with pytest.raises(
            RequestError, match=f"This {model_type} model .* side by side: there is no resid_mid"
        ):
            refused()
