"""Which rows of one flat batch belong to which cells.

Cells patched at different positions have cones of different widths. Their rows stand one after the other in one
batch `[1, row, d_model]`, so that a matrix product sees them all at once and none is padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """`cells` cells side by side, each with the rows of positions `start` to `start + width - 1`."""

    start: int
    width: int
    cells: int

    @property
    def rows(self) -> int:
        """How many rows of the batch it takes."""
        return self.width * self.cells


def joined(blocks: Sequence[Block]) -> list[Block]:
    """The same rows in as few blocks as can be, none empty.

    >>> joined([Block(start=3, width=2, cells=5), Block(start=3, width=2, cells=1), Block(start=0, width=1, cells=0)])
    [Block(start=3, width=2, cells=6)]
    """
    alike = groupby(filter(lambda block: block.cells, blocks), key=lambda block: (block.start, block.width))
    return [Block(*place, sum(block.cells for block in some)) for place, some in alike]


def positions(blocks: Sequence[Block]) -> Int[Tensor, " row"]:
    """The position of each row.

    >>> positions([Block(start=3, width=2, cells=2), Block(start=4, width=1, cells=1)])
    tensor([3, 4, 3, 4, 4])
    """
    parts = [torch.arange(block.start, block.start + block.width).repeat(block.cells) for block in blocks]
    return torch.cat(parts)


def widths(blocks: Sequence[Block]) -> Int[Tensor, " row"]:
    """How many rows the cell has that each row belongs to.

    >>> widths([Block(start=3, width=2, cells=1), Block(start=4, width=1, cells=1)])
    tensor([2, 2, 1])
    """
    return torch.cat([torch.full((block.rows,), block.width) for block in blocks])


def last_rows(blocks: Sequence[Block]) -> Int[Tensor, " cell"]:
    """The batch's row that is each cell's last.

    >>> last_rows([Block(start=3, width=2, cells=2), Block(start=4, width=1, cells=1)])
    tensor([1, 3, 4])
    """
    each = [torch.full((block.cells,), block.width) for block in blocks]
    return torch.cat(each).cumsum(0) - 1
