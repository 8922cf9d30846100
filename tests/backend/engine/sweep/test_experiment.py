"""Which experiments of a sweep are run, and where their cones begin."""

from backend.engine.sweep import Cell, Pairing, each_alone
from backend.engine.sweep.experiment import Experiment, effective


def test_the_sweep_that_is_described() -> None:
    """The example of `sweep.py`: 4 tokens that differ at the third, all cells of z of 3 layers of 2 heads."""
    cells = [Cell(layer, position, head) for layer in range(3) for head in range(2) for position in range(4)]
    run = effective(each_alone("z", cells), 3, 4, Pairing((5, 6, 7, 8), (5, 6, 9, 8)))
    assert [cells[each.number].position for each in run].count(3) == 6
    assert [cells[each.number] for each in run if each.position == 2] == [
        Cell(0, 2, 0),
        Cell(0, 2, 1),
        Cell(1, 2, 0),
        Cell(1, 2, 1),
    ]
    assert len(run) == 10


def test_a_cone_begins_at_the_lowest_layer_and_first_position() -> None:
    both = Experiment.of(7, (("z", Cell(1, 2, 0)), ("mlp_out", Cell(0, 3))))
    assert (both.number, both.layer, both.position, both.one_row) == (7, 0, 2, False)
    assert Experiment.of(0, (("z", Cell(1, 2, 0)), ("z", Cell(1, 2, 1)))).one_row
    assert not Experiment.of(0, (("v", Cell(1, 2, 0)),)).one_row
