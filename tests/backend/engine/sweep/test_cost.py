"""What a sweep is said to cost."""

import dataclasses

import pytest

from backend.contract.errors import ResourceError
from backend.engine.instrument import Instrument
from backend.engine.products import kernel_rows
from backend.engine.sweep import Cell, all_cells, each_alone, run_source
from backend.engine.sweep import estimate as estimate_sets
from backend.engine.sweep.batching import (
    LEAST_ROWS,
    PROCESSOR,
    SET_ASIDE_BYTES,
    batch_rows,
    budget_for,
    check_budget,
    least_budget,
    limits_of,
    passes,
)
from backend.engine.sweep.cost import cost_of
from backend.engine.sweep.estimate import Estimate
from backend.engine.sweep.experiment import Experiment
from tests import tiny

BASE = tuple(range(12))
SOURCE = (*range(9), 50, 51, 11)


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def one(component: str, layer: int, position: int, head: int | None = None) -> Experiment:
    return Experiment.of(0, ((component, Cell(layer, position, head)),))


def estimate(
    instrument: Instrument, source: tuple[int, ...], cells: list[Cell], budget: int | None = None
) -> Estimate:
    return estimate_sets(
        instrument, BASE, run_source(instrument, BASE, source), each_alone("z", cells), budget
    )


def test_flops_by_hand(instrument: Instrument) -> None:
    # d_model 48, MLP 64, 4 heads and 2 kv heads of 12: multiply-adds of one row through a layer's modules.
    queries, keys_values, output, mlp = 48 * 48, 2 * 48 * 24, 48 * 48, 3 * 48 * 64
    row, scores = queries + keys_values + output + mlp, 2 * 4 * 12
    cost = cost_of(instrument)
    assert cost.row == row
    assert cost.flops(12, one("z", 2, 11, 0)) == 2 * (output + mlp)
    assert cost.flops(12, one("z", 1, 11, 0)) == 2 * (output + mlp + row + 12 * scores)
    middle = 2 * row + (11 + 12) * scores
    last = keys_values + row + 12 * scores
    assert cost.flops(12, one("z", 0, 10, 0)) == 2 * (output + mlp + middle + last)
    assert cost.flops(12, one("v", 0, 10, 0)) == 2 * (2 * (output + mlp) + middle + last)
    assert cost.flops(12, one("v", 2, 10, 0)) == 2 * (output + mlp)


def test_a_model_that_is_run_whole_costs_whole_passes(instrument: Instrument) -> None:
    resolved = dataclasses.replace(instrument.loaded.resolved, quantization="8bit")
    cost = cost_of(Instrument(dataclasses.replace(instrument.loaded, resolved=resolved)))
    row, scores = cost.row, 4 * 12 * 13
    assert cost.flops(12, one("z", 2, 11, 0)) == 2 * 3 * 12 * (row + scores)
    whole = Instrument(dataclasses.replace(instrument.loaded, resolved=resolved))
    assert estimate(whole, SOURCE, [Cell(0, 11, 0)], 100).peak_bytes == cost.call_bytes(12, 12)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("gpt2", 3 * 48 * 48 + 48 * 48 + 2 * 48 * 64),
        # Queries, keys and values, output; two of four experts, each with a gate, a way up and one down.
        ("mixtral", 48 * 48 + 2 * 48 * 24 + 48 * 48 + 2 * 3 * 48 * 64),
    ],
)
def test_matrices_of_other_kinds_count(name: str, row: int) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model(name), tiny.tokenizer(), name))
    assert cost_of(instrument).row == row


def test_rows_and_bytes(instrument: Instrument) -> None:
    cost = cost_of(instrument)
    assert cost.row_layers(12, one("z", 0, 10, 0)) == 1 + 2 + 2
    assert cost.row_layers(12, one("resid_pre", 0, 10)) == 2 + 2 + 2
    assert cost.state_bytes(12, one("z", 0, 10, 0)) == 2 * 48 * 4


def test_the_cones_that_are_drawn() -> None:
    """The two pictures of `cone.py`: 3 layers, 4 tokens, a patch at layer 0 and position 2."""
    cost = cost_of(Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2")))
    assert cost.shape.layers == 3
    assert cost.row_layers(4, one("z", 0, 2, 0)) == 5
    assert cost.row_layers(4, one("v", 0, 2, 0)) == 6
    keys_values, queries = 2 * 48 * 24, 48 * 48
    first, middle = cost.row - keys_values - queries, 2 * cost.row + (3 + 4) * 2 * 48
    last = keys_values + cost.row + 4 * 2 * 48
    assert cost.flops(4, one("z", 0, 2, 0)) == 2 * (first + middle + last)


def test_an_estimate_is_of_what_is_run(instrument: Instrument) -> None:
    cells = all_cells("z", instrument.shape, range(12))
    found = estimate(instrument, SOURCE, cells)
    assert found.cells == 2 * 4 * 3 + 4
    assert found.flops == estimate(instrument, SOURCE, [c for c in cells if c.position >= 9]).flops
    assert found.seconds(found.flops / 3) == pytest.approx(3)
    assert estimate(instrument, BASE, cells).flops == 0


def test_an_estimate_looks_for_a_cancel_before_each_part(instrument: Instrument) -> None:
    seen: list[tuple[object, ...]] = []
    source, sets = (
        run_source(instrument, BASE, SOURCE),
        each_alone("z", all_cells("z", instrument.shape, [11])),
    )
    estimate_sets(instrument, BASE, source, sets, progress=lambda *told: seen.append(told))
    assert seen == [("Counting the operations",)] * 3


def test_a_sweep_keeps_to_a_budget_that_is_enough(instrument: Instrument) -> None:
    cells, row = all_cells("z", instrument.shape, range(12)), cost_of(instrument).row_bytes(12)
    # 3, 2 and 1 rows of each of 4 heads in 2 layers, and 1 of 4 heads in the last; a row's state is 48 numbers.
    few = estimate(instrument, SOURCE, cells, 100)
    assert (few.peak_bytes, few.budget_bytes) == (SET_ASIDE_BYTES + 2 * 52 * row, 100)
    for budget, rows in ((few.peak_bytes, 52), (10**9, kernel_rows(52))):
        found = estimate(instrument, SOURCE, cells, budget)
        assert found.peak_bytes == SET_ASIDE_BYTES + rows * row + 52 * 48 * 4
    many = tuple(range(20, 32))
    least = estimate(instrument, many, cells, 100).peak_bytes
    assert least == SET_ASIDE_BYTES + 2 * LEAST_ROWS * row
    assert estimate(instrument, many, cells, least).peak_bytes <= least
    assert least < estimate(instrument, many, cells, least + 10**6).peak_bytes <= least + 10**6
    with pytest.raises(ResourceError, match=r"Patching needs at least .* and may take"):
        check_budget(instrument, 12, [one("z", 0, 9, 0)], 100)


def test_a_budget_has_room_for_rows_enough_to_be_fast(instrument: Instrument) -> None:
    many = [one("z", 0, 9, 0)] * 30
    cost, least = cost_of(instrument), least_budget(instrument, 12, many)
    assert batch_rows(instrument, 12, least) == LEAST_ROWS
    check_budget(instrument, 12, many, least)
    with pytest.raises(ResourceError):
        check_budget(instrument, 12, many, least - 1)
    # A sweep that has fewer rows needs no more room than for those.
    assert least_budget(instrument, 12, many[:2]) == SET_ASIDE_BYTES + 2 * 6 * cost.row_bytes(12)
    assert least_budget(instrument, 12, []) == 0


def test_what_the_process_keeps_is_set_aside_on_the_processor_only(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [one("z", 0, 9, 0)] * 30
    least = least_budget(instrument, 12, many)
    monkeypatch.setattr(instrument, "resolved", dataclasses.replace(instrument.resolved, device="cuda"))
    assert least_budget(instrument, 12, many) == least - SET_ASIDE_BYTES


def test_a_budget_has_room_for_the_longest_cell(instrument: Instrument) -> None:
    # Of 200 tokens, more than the rows wanted; its keys are counted once.
    cost = cost_of(instrument)
    assert least_budget(instrument, 200, [one("z", 0, 0, 0)]) == SET_ASIDE_BYTES + 2 * max(
        cost.call_bytes(200, 200), LEAST_ROWS * cost.row_bytes(200)
    )
    assert cost.call_bytes(200, 200) == 4 * (2.5 * 200 * cost.widths + 2 * 24 * 200)
    long = tuple(range(200))
    sets = each_alone("resid_pre", [Cell(0, 0)])
    found = estimate_sets(instrument, long, run_source(instrument, long, (7, *long[1:])), sets, 10**9)
    assert found.peak_bytes == SET_ASIDE_BYTES + cost.state_bytes(200, one("resid_pre", 0, 0)) + max(
        cost.call_bytes(200, 200), kernel_rows(200) * cost.row_bytes(200)
    )


def test_late_positions_come_first(instrument: Instrument) -> None:
    run = [one("resid_pre", 0, position) for position in range(12)]
    split = passes(instrument, 12, run, budget=SET_ASIDE_BYTES + 2 * 48 * 4 * 12)
    assert [experiment.position for part in split for experiment in part] == list(reversed(range(12)))
    assert len(split) > 4
    assert all(sum(cost_of(instrument).state_bytes(12, e) for e in part) <= 48 * 4 * 12 for part in split)


def test_batches_follow_the_budget(instrument: Instrument) -> None:
    rows = [
        batch_rows(instrument, 12, budget)
        for budget in (1, SET_ASIDE_BYTES + 10**5, SET_ASIDE_BYTES + 10**6, 10**12)
    ]
    assert rows == sorted(rows)
    assert rows[0] == 1
    assert rows[-1] == PROCESSOR.rows
    assert rows[1] * cost_of(instrument).row_bytes(12) <= 10**5 / 2


def test_a_sweep_takes_a_quarter_of_what_is_free_on_the_fullest_card(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert instrument.layers_on == {"cpu": instrument.shape.layers}
    monkeypatch.setattr(instrument, "layers_on", {"cuda:1": 1, "cuda:2": 2})
    free = {"cuda:0": 4, "cuda:1": 800, "cuda:2": 400}  # nothing runs on the first
    monkeypatch.setattr("backend.engine.sweep.batching.available_memory", free.__getitem__)
    assert budget_for(instrument) == 100


def test_a_card_is_given_more_at_a_time() -> None:
    assert limits_of("cpu") == PROCESSOR
    assert limits_of("cuda").rows > PROCESSOR.rows
    assert limits_of("cuda").flops > 100 * PROCESSOR.flops
