"""The oracle: experiments that go through the model together equal each alone."""

import torch

from backend.engine.instrument import Instrument
from backend.engine.sweep import Sweep, Wanted, all_cells, components_of, each_alone, run_source
from backend.engine.sweep.whole_model import patched_run, patched_runs
from tests.backend.engine.sweep.prompts import CLEAN, CLOSE, CORRUPTED, TOKENS


def test_experiments_together_equal_each_alone(family_instrument: Instrument) -> None:
    shape = family_instrument.shape
    cells = {name: all_cells(name, shape, [len(CLEAN) - 2])[-1:] for name in components_of(shape)}
    del cells["pattern"]  # of the positions before its own, which differ
    sets = [nodes for name, some in cells.items() for nodes in each_alone(name, some)]
    sets = [*sets, [node for nodes in sets for node in nodes if node[0] in ("z", "mlp_out")]]
    source = run_source(family_instrument, CORRUPTED, CLEAN)
    some = Sweep(CORRUPTED, source, sets, Wanted(TOKENS)).experiments(family_instrument)
    logits, final = patched_runs(family_instrument, CORRUPTED, source, some)
    for number, experiment in enumerate(some):
        alone = patched_run(family_instrument, CORRUPTED, source, experiment)
        torch.testing.assert_close((logits[number], final[number]), alone, **CLOSE)
    assert len(some) > 2
