"""Sweeps over several prompts give what each sweep gives alone."""

from collections.abc import Iterator

import pytest
import torch

from backend.contract.errors import Cancelled
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.instrument import Instrument
from backend.engine.sweep import Sweep, Wanted, all_cells, each_alone, run_source, run_sweep, several
from backend.engine.sweep.batching import Limits
from backend.engine.sweep.several import run_sweeps

SPEC = PromptSpec(template="plain")
STEMS = ("pick alpha", "pick beta", "pick gamma please", "pick delta")
OTHERS = ("pick beta", "pick gamma", "pick alphas please", "pick alpha")
WANTED = Wanted((1, 2, 3), vocabulary=True, final=True)


def sweeps_of(instrument: Instrument, component: str, final: bool) -> list[Sweep]:
    found = []
    for stem, other in zip(STEMS, OTHERS, strict=True):
        base, source = (
            instrument.prompt(Question(text, ("red", "blue", "green"), 0), SPEC).token_ids
            for text in (stem, other)
        )
        match = (
            None
            if len(base) == len(source)
            else [None] * (len(base) - 4) + [*range(len(source) - 4, len(source))]
        )
        positions = [len(base) - 1] if final else [len(base) - 4, len(base) - 2, len(base) - 1]
        cells = each_alone(component, all_cells(component, instrument.shape, positions))
        found.append(Sweep(base, run_source(instrument, base, source, match), cells, WANTED))
    return found


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("component", ["z", "mlp_out", "q", "k", "resid_pre"])
def test_each_sweep_has_its_own_results(plain_instrument: Instrument, component: str, final: bool) -> None:
    sweeps = sweeps_of(plain_instrument, component, final)
    together = [*run_sweeps(plain_instrument, sweeps, len(sweeps))]
    for sweep, found in zip(sweeps, together, strict=True):
        alone = run_sweep(plain_instrument, sweep)
        torch.testing.assert_close(found.logits, alone.logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.logsumexp, alone.logsumexp, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.final, alone.final, atol=1e-5, rtol=1e-5)
        assert found.skipped == alone.skipped


def test_on_every_family(family_instrument: Instrument) -> None:
    sweeps = sweeps_of(family_instrument, "z", final=True)
    for sweep, found in zip(sweeps, run_sweeps(family_instrument, sweeps, 4), strict=True):
        torch.testing.assert_close(
            found.logits, run_sweep(family_instrument, sweep).logits, atol=2e-4, rtol=1e-4
        )


def test_large_sweeps_are_taken_as_they_are_run(
    plain_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one sweep at a time the second is made only after the first one's results are there."""
    monkeypatch.setattr(several, "limits_of", lambda device: Limits(rows=64, flops=1.0))
    sweeps, made = sweeps_of(plain_instrument, "z", final=True), [0]

    def lazily() -> Iterator[Sweep]:
        for sweep in sweeps:
            made[0] += 1
            yield sweep

    results = run_sweeps(plain_instrument, lazily(), len(sweeps))
    next(results)
    assert made[0] == 2
    assert len([*results]) == 3


def test_it_can_be_cancelled(plain_instrument: Instrument) -> None:
    def progress(message: str, done: int = 0, total: int = 0) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        next(run_sweeps(plain_instrument, sweeps_of(plain_instrument, "z", final=True), 4, progress))
