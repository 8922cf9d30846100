"""When experiments enter a pass, and how its rows are divided into batches."""

import torch

from backend.engine.sweep.cells import Cell
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.patches import PatchedRow
from backend.engine.sweep.position_group import Piece, PositionGroup, entry_order, grouped, take
from backend.engine.sweep.rows import Block

# Numbered 0 to 3; the last begins at another position.
EXPERIMENTS = [
    Experiment.of(number, (("z", Cell(layer, position, 0)),))
    for number, (layer, position) in enumerate([(1, 2), (0, 2), (0, 2), (0, 3)])
]


def groups() -> list[PositionGroup]:
    return grouped([EXPERIMENTS[index] for index in entry_order(EXPERIMENTS)], [4])


def spans(pieces: list[Piece]) -> list[tuple[int, int, int]]:
    return [(piece.group.position, piece.first, piece.end) for piece in pieces]


def test_late_positions_come_first_and_low_layers_enter_first() -> None:
    assert entry_order(EXPERIMENTS) == [3, 1, 2, 0]
    late, early = groups()
    assert (late.position, late.width, early.position, early.width) == (3, 1, 2, 2)
    assert spans(early.enter(0, one_row=True)) == [(2, 0, 2)]
    assert early.enter(0, one_row=False) == []
    assert spans(early.enter(1, one_row=True)) == [(2, 2, 3)]
    assert spans(early.under_way()) == [(2, 0, 3)]
    assert late.under_way() == []


def test_a_piece_is_a_view_of_its_groups_state() -> None:
    _, early = groups()
    early.move(5, torch.float32, torch.device("cpu"))
    piece = Piece(early, 1, 3)
    piece.state.fill_(1)
    assert early.state.shape == (3, 2, 5)
    assert (early.state[1:] == 1).all()
    assert piece.block == Block(start=2, width=2, count=2)


def test_the_rows_that_a_piece_patches() -> None:
    _, early = groups()
    node = ("z", Cell(0, 2, 0))
    # Two rows each: of experiments 1 and 2 the first ones are the batch's rows 10 and 12.
    assert early.patched(0, Piece(early, 0, 2), 10) == [PatchedRow(10, 1, node), PatchedRow(12, 2, node)]
    assert early.patched(0, Piece(early, 1, 3), 10) == [PatchedRow(10, 2, node)]
    assert early.patched(1, Piece(early, 0, 2), 10) == []


def test_pieces_are_taken_from_the_end_and_split_between_experiments() -> None:
    late, early = groups()
    waiting = [Piece(early, 0, 3), Piece(late, 0, 1)]
    assert spans(take(waiting, 5)) == [(3, 0, 1), (2, 0, 2)]
    assert spans(waiting) == [(2, 2, 3)]
    assert spans(take(waiting, 1)) == [(2, 2, 3)]
    assert not waiting
