"""Which rows of one flat batch belong to which experiments.

Experiments patched at different positions have cones of different widths. Their rows stand one after the other in one
batch `[1, row, d_model]`, so that a matrix product takes all of them at once and none is padding.

Example: two experiments at position 3 of 5 and one at position 4 are the blocks `Block(start=3, width=2, count=2)` and
`Block(start=4, width=1, count=1)`. The batch has 5 rows, at the positions 3 4 3 4 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """`count` experiments one after the other, each with the rows of positions `start` to `start + width - 1`.

    Attributes:
        run: which base run they change, if a batch has experiments on several.
    """

    start: int
    width: int
    count: int
    run: int = 0

    @property
    def rows(self) -> int:
        """How many rows of the batch it takes."""
        return self.width * self.count


def joined(blocks: Sequence[Block]) -> list[Block]:
    """The same rows in as few blocks as possible, none empty.

    >>> joined([Block(start=3, width=2, count=5), Block(start=3, width=2, count=1), Block(start=0, width=1, count=0)])
    [Block(start=3, width=2, count=6, run=0)]
    """
    alike = groupby(filter(lambda block: block.count, blocks), key=lambda block: replace(block, count=0))
    return [replace(block, count=sum(one.count for one in some)) for block, some in alike]


def positions(blocks: Sequence[Block]) -> Int[Tensor, " row"]:
    """The position of each row.

    >>> positions([Block(start=3, width=2, count=2), Block(start=4, width=1, count=1)])
    tensor([3, 4, 3, 4, 4])
    """
    parts = [torch.arange(block.start, block.start + block.width).repeat(block.count) for block in blocks]
    return torch.cat(parts)


def widths(blocks: Sequence[Block]) -> Int[Tensor, " row"]:
    """For each row, how many rows its experiment has.

    >>> widths([Block(start=3, width=2, count=1), Block(start=4, width=1, count=1)])
    tensor([2, 2, 1])
    """
    return torch.cat([torch.full((block.rows,), block.width) for block in blocks])


def last_rows(blocks: Sequence[Block]) -> Int[Tensor, " experiment"]:
    """For each experiment, the batch's row that is its last.

    >>> last_rows([Block(start=3, width=2, count=2), Block(start=4, width=1, count=1)])
    tensor([1, 3, 4])
    """
    each = [torch.full((block.count,), block.width) for block in blocks]
    return torch.cat(each).cumsum(0) - 1
