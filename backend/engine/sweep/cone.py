"""The causal cone: recompute exactly what a patch can change, for many experiments at once.

A patch at (layer l, position p) changes rows p and later of the layers above l, and of layer l what its component
reaches. Layer by layer, all that was patched further down goes through the layer in one flat batch; then what is
patched at this layer joins. Nothing before p is computed again: its keys and values are the base run's.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from backend.contract.errors import ResourceError, shown
from backend.engine.instrument import Instrument
from backend.engine.products import filler_rows, usual_rows
from backend.engine.sweep.cells import Node
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.layer_call import call_layer
from backend.engine.sweep.patches import Patch, PatchedRow, patches_of
from backend.engine.sweep.rows import Block
from backend.engine.sweep.source import Source
from backend.engine.trace import Trace
from backend.models.memory import is_out_of_memory
from backend.models.placement import device_of


@dataclass
class RowLimit:
    """The most rows that one call takes; halved when memory runs out, for the rest of the sweep."""

    rows: int

    def share(self, rows: int) -> int:
        """How many of `rows` rows to take next: about two thirds of the most, so that no small batch is left over.

        >>> [RowLimit(900).share(rows) for rows in (100, 900, 1000, 1300)]
        [112, 480, 512, 704]
        >>> RowLimit(900).share(880)
        896
        """
        even = math.ceil(rows / max(math.ceil(rows / self.rows), round(1.5 * rows / self.rows)))
        return min(usual_rows(even), self.rows)

    def halve(self, rows: int, cells: int) -> None:
        """After a batch did not fit. Raises ResourceError where it was one cell, which cannot be split."""
        if cells == 1:
            raise ResourceError(
                f"Not enough memory for patching: the {shown(rows)} rows of one cell do not fit. "
                "Close other programs, or take a shorter prompt."
            )
        self.rows = max(1, min(self.rows, rows) // 2)


@dataclass(frozen=True)
class _Piece:
    """Some of the experiments that begin at one position: numbers `first` to `last - 1` there.

    With `one_row` they enter at this layer with their first row; the rows after it are still the base run's.
    """

    position: int
    first: int
    last: int
    one_row: bool = False


class ConePass:
    """Experiments taken from the first patched layer to the end together."""

    def __init__(
        self,
        instrument: Instrument,
        base: Trace,
        source: Source,
        experiments: Sequence[Experiment],
        limit: RowLimit,
        advanced: Callable[[int], None],
    ) -> None:
        """`advanced` is called with the number of rows that went through a layer."""
        self._instrument = instrument
        self._base = base
        self._source = source
        self._limit = limit
        self._advanced = advanced
        self._layers = instrument.family.layers(instrument.model)
        # By position; at each the experiments in the order in which they enter.
        self._order = sorted(
            range(len(experiments)),
            key=lambda i: (-experiments[i].position, experiments[i].layer, experiments[i].one_row),
        )
        self._experiments: dict[int, list[Experiment]] = {}
        for i in self._order:
            self._experiments.setdefault(experiments[i].position, []).append(experiments[i])
        self._nodes = _by_place(self._experiments)
        self._under_way = dict.fromkeys(self._experiments, 0)
        self._states: dict[int, Tensor] = {}

    @torch.no_grad()
    def run(self) -> Tensor:
        """The final residual stream at the last position, `[experiment, d_model]`, in the order given."""
        first = min(some[0].layer for some in self._experiments.values())
        for layer in range(first, len(self._layers)):
            self._place(layer)
            for piece in self._joining(layer, one_row=False):
                self._state(piece).copy_(self._base.resid_pre[layer, piece.position :])
            under_way = [_Piece(position, 0, last) for position, last in self._under_way.items() if last]
            self._in_batches(layer, [*under_way, *self._joining(layer, one_row=True)])
        final = torch.cat([state[:, -1] for state in self._states.values()])
        return final[torch.tensor(self._order, device=final.device).argsort()]

    def _place(self, layer: int) -> None:
        """Move all rows to the device of the layer's weights."""
        device = device_of(self._layers[layer])
        for position, experiments in self._experiments.items():
            if position not in self._states:
                size = (len(experiments), self._base.positions - position, self._instrument.shape.d_model)
                self._states[position] = torch.empty(size, dtype=self._instrument.model.dtype, device=device)
            self._states[position] = self._states[position].to(device)

    def _joining(self, layer: int, one_row: bool) -> list[_Piece]:
        """The experiments that enter at `layer`; from here on they count as under way."""
        pieces = []
        for position, experiments in self._experiments.items():
            first = last = self._under_way[position]
            while last < len(experiments) and (experiments[last].layer, experiments[last].one_row) == (
                layer,
                one_row,
            ):
                last += 1
            if last > first:
                pieces.append(_Piece(position, first, last, one_row))
                self._under_way[position] = last
        return pieces

    def _in_batches(self, layer: int, pieces: Sequence[_Piece]) -> None:
        """Take pieces through a layer, as many rows at a time as the limit says; a cell is never split."""
        waiting = list(reversed(pieces))
        while waiting:
            rows_left = sum(block.rows for block in self._blocks(waiting))
            batch = _take(waiting, self._width, self._limit.share(rows_left))
            blocks = self._blocks(batch)
            rows = sum(block.rows for block in blocks)
            try:
                self._through(layer, batch, blocks)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._limit.halve(rows, sum(block.cells for block in blocks))
                waiting.extend(reversed(batch))
            else:
                self._advanced(rows)

    def _through(self, layer: int, pieces: Sequence[_Piece], blocks: Sequence[Block]) -> None:
        """One call of `layer`."""
        filler = self._filler(layer, blocks)
        hidden = [self._rows_before(layer, piece) for piece in pieces]
        after = call_layer(
            self._instrument,
            self._base,
            layer,
            torch.cat([*hidden, hidden[0].new_zeros(filler.rows, hidden[0].shape[1])]),
            [*blocks, filler],
            self._patches(layer, pieces, blocks),
            last_only=layer + 1 == len(self._layers),
        )
        by_block = torch.split(after, [block.rows for block in (*blocks, filler)])
        parts = list(zip(pieces, by_block[:-1], strict=True))
        # Those of one row first: what takes memory may fail, and then the whole batch is taken once more, from states
        # that must still be those before this layer.
        for piece, part in sorted(parts, key=lambda pair: not pair[0].one_row):
            state = self._state(piece)
            if piece.one_row:
                state[:, 0] = part
                state[:, 1:] = self._base.resid_after(layer)[piece.position + 1 :].to(state)
            else:
                state.copy_(part.view_as(state))

    def _filler(self, layer: int, blocks: Sequence[Block]) -> Block:
        """Rows to add to a batch for faster products, each a cell of its own at the prompt's start.

        None to a single cell, which has to fit as it is, and none in the last layer, most of whose matrices take only
        the last row of each cell.
        """
        rows = sum(block.rows for block in blocks)
        more = filler_rows(rows, self._layers[layer].modules())
        alone = sum(block.cells for block in blocks) == 1
        fits = not alone and layer + 1 < len(self._layers) and rows + more <= self._limit.rows
        return Block(0, 1, more if fits else 0)

    def _state(self, piece: _Piece) -> Float[Tensor, "cell row d_model"]:
        return self._states[piece.position][piece.first : piece.last]

    def _width(self, piece: _Piece) -> int:
        return 1 if piece.one_row else self._base.positions - piece.position

    def _blocks(self, pieces: Sequence[_Piece]) -> list[Block]:
        return [Block(piece.position, self._width(piece), piece.last - piece.first) for piece in pieces]

    def _rows_before(self, layer: int, piece: _Piece) -> Float[Tensor, "row d_model"]:
        state = self._state(piece)
        if not piece.one_row:
            return state.flatten(0, 1)
        return self._base.resid_pre[layer, piece.position].to(state).expand(len(state), -1)

    def _patches(self, layer: int, pieces: Sequence[_Piece], blocks: Sequence[Block]) -> dict[str, Patch]:
        patched, row = [], 0
        for piece, block in zip(pieces, blocks, strict=True):
            for index, number, node in self._nodes.get((piece.position, layer), ()):
                if piece.first <= index < piece.last:
                    at = (index - piece.first) * block.width + node[1].position - piece.position
                    patched.append(PatchedRow(row + at, number, node))
            row += block.rows
        return patches_of(self._source, layer, patched)


def _by_place(
    experiments: Mapping[int, Sequence[Experiment]],
) -> dict[tuple[int, int], list[tuple[int, int, Node]]]:
    """By an experiment's position and a node's layer: the experiment's index at its position, its number, the node."""
    nodes: dict[tuple[int, int], list[tuple[int, int, Node]]] = {}
    for position, some in experiments.items():
        for index, experiment in enumerate(some):
            for node in experiment.nodes:
                nodes.setdefault((position, node[1].layer), []).append((index, experiment.number, node))
    return nodes


def _take(waiting: list[_Piece], width: Callable[[_Piece], int], rows: int) -> list[_Piece]:
    """Take pieces of together about `rows` rows, at least one cell, off the end of `waiting`."""
    taken: list[_Piece] = []
    while waiting:
        piece = waiting[-1]
        fits = rows // width(piece)
        if taken and fits < 1:
            break
        middle = min(piece.last, piece.first + max(1, fits))
        taken.append(replace(piece, last=middle))
        rows -= width(piece) * (middle - piece.first)
        waiting.pop()
        if middle < piece.last:
            waiting.append(replace(piece, first=middle))
            break
    return taken
