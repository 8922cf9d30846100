import pytest

from backend.contract.errors import RequestError
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, all_cells
from tests.backend.engine.sweep.one_component import sweep_cells
from tests.backend.engine.sweep.prompts import CLEAN, CORRUPTED, TOKENS


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
        sweep_cells(family_instrument, CORRUPTED, CLEAN, component, [cell], TOKENS)


def test_nothing_between_attention_and_mlp_that_are_side_by_side(family_instrument: Instrument) -> None:
    if not family_instrument.shape.parallel:
        all_cells("resid_mid", family_instrument.shape, (11,))
        return
    model_type = family_instrument.shape.model_type
    for refused in (
        lambda: all_cells("resid_mid", family_instrument.shape, (11,)),
        lambda: sweep_cells(family_instrument, CORRUPTED, CLEAN, "resid_mid", [Cell(0, 11)], TOKENS),
    ):
        with pytest.raises(
            RequestError, match=f"This {model_type} model .* side by side: there is no resid_mid"
        ):
            refused()
