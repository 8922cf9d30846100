"""Sets of heads and MLPs replaced at the final position of several questions, against whole passes with hooks."""

import pytest
import torch

from backend.contract.errors import Cancelled
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.instrument import Instrument
from backend.engine.recording import trace
from backend.engine.sweep.cost import needs_whole_model
from backend.engine.sweep.final_sets import (
    CLEAN,
    REPLACED,
    FinalOutputs,
    FinalRun,
    FinalSets,
    States,
    outputs_of,
    readout_of,
    recheck_final_sets,
    run_final_sets,
)
from backend.engine.sweep.readout import Wanted

SPEC = PromptSpec(template="plain")
STEMS = ("pick beta", "pick delta please", "pick alpha or beta or gamma")
WANTED = Wanted((1, 2, 3))


def runs_of(instrument: Instrument) -> list[FinalRun]:
    prompts = [
        instrument.prompt(Question(stem, ("red", "blue", "green"), 0), SPEC).token_ids for stem in STEMS
    ]
    traces = [
        trace(instrument.model, instrument.family, ids, final=number == 1)
        for number, ids in enumerate(prompts)
    ]
    return [
        FinalRun(ids, own, outputs_of(other))
        for ids, own, other in zip(prompts, traces, [*traces[1:], traces[0]], strict=True)
    ]


def random_sets(instrument: Instrument, runs: list[FinalRun], cases: int) -> FinalSets:
    shape, drawing = instrument.shape, torch.Generator().manual_seed(0)

    def states(*sizes: int) -> torch.Tensor:
        return torch.randint(0, 3, sizes, generator=drawing, dtype=torch.uint8)

    run = torch.randint(0, len(runs), (cases,), generator=drawing)
    return FinalSets(runs, run, States(states(cases, shape.layers, shape.heads), states(cases, shape.layers)))


def test_random_sets_equal_whole_passes_with_hooks(family_instrument: Instrument) -> None:
    if needs_whole_model(family_instrument):
        pytest.skip("its layers cannot be called on some rows")
    runs = runs_of(family_instrument)
    sets = random_sets(family_instrument, runs, 9)
    final = run_final_sets(family_instrument, sets)
    assert recheck_final_sets(family_instrument, sets, final, range(9), WANTED) < 2e-4


def test_a_case_without_a_replaced_node_is_the_clean_run(plain_instrument: Instrument) -> None:
    runs, shape = runs_of(plain_instrument), plain_instrument.shape
    heads = torch.zeros(6, shape.layers, shape.heads, dtype=torch.uint8)
    heads[3:] = CLEAN
    mlps = torch.zeros(6, shape.layers, dtype=torch.uint8)
    sets = FinalSets(runs, torch.tensor([2, 0, 1, 0, 1, 2]), States(heads, mlps))
    final = run_final_sets(plain_instrument, sets)
    for case, run in enumerate(sets.run.tolist()):
        torch.testing.assert_close(final[case], runs[run].base.resid_final[-1], atol=2e-5, rtol=1e-4)
        logits = readout_of(plain_instrument, final[case][None], WANTED).logits[0]
        torch.testing.assert_close(
            logits, runs[run].base.logits[list(WANTED.token_ids)], atol=1e-4, rtol=1e-4
        )


def test_everything_replaced_by_another_run_gives_its_final_row(plain_instrument: Instrument) -> None:
    """The final token is the same, and so is the embedding: nothing of the question's own run is left."""
    runs, shape = runs_of(plain_instrument), plain_instrument.shape
    heads = torch.full((3, shape.layers, shape.heads), REPLACED, dtype=torch.uint8)
    mlps = torch.full((3, shape.layers), REPLACED, dtype=torch.uint8)
    final = run_final_sets(plain_instrument, FinalSets(runs, torch.arange(3), States(heads, mlps)))
    for case, source in enumerate((1, 2, 0)):
        torch.testing.assert_close(final[case], runs[source].base.resid_final[-1], atol=2e-5, rtol=1e-4)


def test_the_lowest_touched_layer_of_each_case() -> None:
    heads = torch.zeros(4, 3, 2, dtype=torch.uint8)
    mlps = torch.zeros(4, 3, dtype=torch.uint8)
    heads[0, 2, 1], mlps[1, 1], heads[2, 0, 0], mlps[2, 2] = REPLACED, CLEAN, CLEAN, REPLACED
    assert States(heads, mlps).first.tolist() == [2, 1, 0, 3]


def test_it_can_be_cancelled_between_layers(plain_instrument: Instrument) -> None:
    sets = random_sets(plain_instrument, runs_of(plain_instrument), 3)

    def progress(message: str, done: int = 0, total: int = 0) -> None:
        if done == 1:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        run_final_sets(plain_instrument, sets, progress)


def test_means_may_take_the_place_of_a_run(plain_instrument: Instrument) -> None:
    runs = runs_of(plain_instrument)
    outputs = [outputs_of(run.base) for run in runs]
    mean = FinalOutputs(
        torch.stack([each.z for each in outputs]).mean(0),
        torch.stack([each.mlp_out for each in outputs]).mean(0),
    )
    sets = random_sets(plain_instrument, [FinalRun(run.token_ids, run.base, mean) for run in runs], 4)
    final = run_final_sets(plain_instrument, sets)
    assert recheck_final_sets(plain_instrument, sets, final, range(4), WANTED) < 2e-4
