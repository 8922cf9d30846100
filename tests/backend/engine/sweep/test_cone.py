from typing import Any

import pytest
import torch

from backend.contract.components import COMPONENTS
from backend.contract.errors import ResourceError
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    Cell,
    RunSource,
    all_cells,
    cone,
    each_alone,
    experiments,
    run_source,
)
from backend.engine.sweep.cone import ConePass
from backend.engine.sweep.layer_call import call_layer
from backend.engine.sweep.row_limit import RowLimit
from backend.engine.trace import Trace
from tests import tiny
from tests.backend.engine.sweep.one_component import sweep_cells
from tests.backend.engine.sweep.prompts import CLEAN, CLOSE, CORRUPTED, TOKENS, need, ragged


class Everything(RunSource):
    """Does not know that prompts agree."""

    def unchanged(self, cell: Cell) -> bool:
        return False


@pytest.mark.sampled
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_run_patched_into_itself_stays(family_instrument: Instrument, component: str) -> None:
    """Not by skipping: every cell goes through its cone."""
    need(family_instrument, component)
    base, shape = family_instrument.trace(CLEAN), family_instrument.shape
    source = Everything(run_source(family_instrument, CLEAN, CLEAN).pairing, base)
    sets = each_alone(component, all_cells(component, shape, range(len(CLEAN))))
    run = experiments(family_instrument, CLEAN, source, sets)
    assert len(run) > len(sets) / 2
    final = ConePass(family_instrument, [base], source, run, RowLimit(50), lambda rows: None).run()
    expected = base.resid_final[-1].expand_as(final)
    torch.testing.assert_close(final, expected, atol=2e-5, rtol=1e-5)


def test_out_of_memory_halves_the_batch_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("llama"), tiny.tokenizer(), "llama"))
    cells = ragged(instrument, "z", seed=5)
    arguments = (instrument, CORRUPTED, CLEAN, "z", cells, TOKENS)
    expected = sweep_cells(*arguments).logits
    room, sizes = 20, []

    def short_of_memory(*args: Any, **kwargs: Any) -> Any:
        sizes.append(len(args[3].hidden))
        if sizes[-1] > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return call_layer(*args, **kwargs)

    monkeypatch.setattr(cone, "call_layer", short_of_memory)
    monkeypatch.setattr(cone, "filler_rows", lambda rows, modules: 3)
    torch.testing.assert_close(sweep_cells(*arguments).logits, expected, **CLOSE)
    assert sum(size > room for size in sizes) < 8
    # The longest cell has 9 rows, and fits as long as none are added.
    room = 9
    torch.testing.assert_close(sweep_cells(*arguments).logits, expected, **CLOSE)
    room = 2
    with pytest.raises(ResourceError, match="rows of one cell"):
        sweep_cells(*arguments)


@pytest.mark.parametrize("component", COMPONENTS)
def test_filler_rows_change_nothing(
    family_instrument: Instrument, component: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(family_instrument, component)
    cells = ragged(family_instrument, component, seed=3, share=0.2)
    arguments = (family_instrument, CORRUPTED, CLEAN, component, cells, TOKENS)
    monkeypatch.setattr(cone, "filler_rows", lambda rows, modules: 0)
    expected = sweep_cells(*arguments).logits
    monkeypatch.setattr(cone, "filler_rows", lambda rows, modules: 3)
    torch.testing.assert_close(sweep_cells(*arguments).logits, expected, **CLOSE)


@pytest.mark.parametrize("most", [8, 30, 1000])
def test_a_batch_is_filled_up_where_there_is_room(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("llama"), tiny.tokenizer(), "llama"))
    last = instrument.shape.layers - 1
    base, source = instrument.trace(CORRUPTED), run_source(instrument, CORRUPTED, CLEAN)
    sets = each_alone("z", all_cells("z", instrument.shape, range(len(CLEAN))))
    run = experiments(instrument, CORRUPTED, source, sets)
    filled = []

    def seen(*args: Any, **kwargs: Any) -> Any:
        _, _, layer, batch, _ = args
        *blocks, filler = batch.blocks
        count, rows = sum(block.count for block in blocks), sum(block.rows for block in blocks)
        assert len(batch.hidden) == rows + filler.rows
        room = count > 1 and layer < last and rows + 3 <= most
        assert filler.rows == (3 if room else 0)
        filled.append(room)
        return call_layer(*args, **kwargs)

    monkeypatch.setattr(cone, "call_layer", seen)
    monkeypatch.setattr(cone, "filler_rows", lambda rows, modules: 3)
    ConePass(instrument, [base], source, run, RowLimit(most), lambda rows: None).run()
    assert {*filled} == {True, False}


@pytest.mark.parametrize("failing", [1, 12, 17])
def test_out_of_memory_after_a_call_loses_nothing(monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """Rows that join are filled up when their layer was called; then there may be no memory either."""
    instrument = Instrument(tiny.loaded(tiny.tiny_model("llama"), tiny.tokenizer(), "llama"))
    arguments = (instrument, CORRUPTED, CLEAN, "z", ragged(instrument, "z", seed=5, share=1.0), TOKENS)
    expected = sweep_cells(*arguments).logits
    resid_after, calls = Trace.resid_after, []

    def short_of_memory(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == failing:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return resid_after(*args)

    monkeypatch.setattr(Trace, "resid_after", short_of_memory)
    torch.testing.assert_close(sweep_cells(*arguments).logits, expected, **CLOSE)
    assert len(calls) > failing
