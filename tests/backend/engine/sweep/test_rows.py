"""Where the rows of a flat batch stand."""

from backend.engine.sweep.rows import Block, last_rows, positions

BLOCKS = [Block(start=3, width=2, count=2), Block(start=4, width=1, count=1)]


def test_each_row_has_its_position() -> None:
    assert positions(BLOCKS).tolist() == [3, 4, 3, 4, 4]


def test_each_experiment_has_its_last_row() -> None:
    assert last_rows(BLOCKS).tolist() == [1, 3, 4]
    assert [block.rows for block in BLOCKS] == [4, 1]
