"""A sweep that lets other jobs of the same model go first has the numbers of one that does not, bit for bit."""

import pytest
import torch

from backend.contract.progress import giving_way
from backend.engine.instrument import Instrument
from backend.engine.sweep import all_cells
from tests import tiny
from tests.backend.engine.hooks import count_hooks
from tests.backend.engine.sweep.one_component import sweep_cells
from tests.backend.engine.sweep.prompts import CLEAN, CORRUPTED, TOKENS


@pytest.mark.sampled
@pytest.mark.parametrize("engine", ["cone", "full"])
@pytest.mark.parametrize("component", ["z", "resid_pre", "pattern"])
def test_jobs_in_between_change_no_number(component: str, engine: str) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    cells = all_cells(component, instrument.shape, range(3, 6))
    arguments = (instrument, CORRUPTED, CLEAN, component, cells, TOKENS)
    alone = sweep_cells(*arguments, vocabulary=True, engine=engine)
    hooks, passed = count_hooks(instrument), 0

    def another_job() -> None:
        nonlocal passed
        passed += 1
        assert count_hooks(instrument) == hooks
        instrument._traces.clear()
        instrument.trace(CLEAN[:4])
        with giving_way(lambda: None):  # it is short and lets nobody pass
            sweep_cells(instrument, CLEAN, CORRUPTED, "q", all_cells("q", instrument.shape, [4]), TOKENS)

    with giving_way(another_job):
        between = sweep_cells(*arguments, vocabulary=True, engine=engine)
    assert passed >= 2
    assert torch.equal(between.logits, alone.logits)
    assert between.logsumexp is not None
    assert alone.logsumexp is not None
    assert torch.equal(between.logsumexp, alone.logsumexp)
