"""The causal cone: recompute exactly what a patch can change, for many experiments at once.

A patch at (layer l, position p) changes rows p and later of the layers above l, and of layer l what its component
reaches. Layer by layer, all that was patched further down goes through the layer in one flat batch; then what is
patched at this layer joins. Nothing before p is computed again: its keys and values are the base run's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.instrument import Instrument
from backend.engine.sweep.base import BaseRun
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.layer_call import call_layer
from backend.engine.sweep.put import Put, puts
from backend.engine.sweep.rows import Block
from backend.engine.trace import Trace
from backend.errors import ResourceError, shown


@dataclass
class RowLimit:
    """How many rows one call takes; halved when memory runs out, for the rest of the sweep."""

    rows: int

    def share(self, rows: int) -> int:
        """How many of `rows` rows to take next, so that no small batch is left over: small matrices are slow."""
        return math.ceil(rows / math.ceil(rows / self.rows))

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
    """Some of the experiments that begin at one position: numbers `first` to `last - 1` there."""

    position: int
    first: int
    last: int


class ConePass:
    """Experiments taken from the first patched layer to the end together."""

    def __init__(
        self,
        instrument: Instrument,
        base: BaseRun,
        source: Trace,
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
        self._under_way = dict.fromkeys(self._experiments, 0)
        self._states: dict[int, Tensor] = {}

    @torch.no_grad()
    def run(self) -> Tensor:
        """The final residual stream at the last position, `[experiment, d_model]`, in the order given."""
        first = min(some[0].layer for some in self._experiments.values())
        for layer in range(first, len(self._layers)):
            self._place(layer)
            for piece in self._joining(layer, one_row=False):
                state = self._states[piece.position][piece.first : piece.last]
                state.copy_(self._base.trace.resid_pre[layer, piece.position :])
            under_way = [_Piece(position, 0, last) for position, last in self._under_way.items() if last]
            self._in_batches(layer, under_way, one_row=False)
            self._in_batches(layer, self._joining(layer, one_row=True), one_row=True)
        final = torch.cat([state[:, -1] for state in self._states.values()])
        return final[torch.tensor(self._order, device=final.device).argsort()]

    def _place(self, layer: int) -> None:
        """Put all rows where the layer's weights are."""
        device = next(self._layers[layer].parameters()).device
        for position, experiments in self._experiments.items():
            if position not in self._states:
                size = (len(experiments), self._base.tokens - position, self._instrument.shape.d_model)
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
                pieces.append(_Piece(position, first, last))
                self._under_way[position] = last
        return pieces

    def _in_batches(self, layer: int, pieces: Sequence[_Piece], one_row: bool) -> None:
        """Take pieces through a layer, as many rows at a time as the limit says; a cell is never split."""
        waiting = list(reversed(pieces))
        while waiting:
            rows_left = [block.rows for block in self._blocks(waiting, one_row)]
            batch = _take(
                waiting, lambda position: self._width(position, one_row), self._limit.share(sum(rows_left))
            )
            try:
                rows = self._through(layer, batch, one_row)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                blocks = self._blocks(batch, one_row)
                self._limit.halve(sum(block.rows for block in blocks), sum(block.cells for block in blocks))
                waiting.extend(reversed(batch))
            else:
                self._advanced(rows)

    def _through(self, layer: int, pieces: Sequence[_Piece], one_row: bool) -> int:
        """One call of `layer`; returns how many rows it took."""
        blocks = self._blocks(pieces, one_row)
        last_only = layer + 1 == len(self._layers) and not one_row
        hidden, puts = self._hidden(layer, pieces, one_row), self._puts(layer, pieces, blocks)
        after = call_layer(self._instrument, self._base, layer, hidden, blocks, puts, last_only)
        for piece, part in zip(pieces, torch.split(after, [block.rows for block in blocks]), strict=True):
            state = self._states[piece.position][piece.first : piece.last]
            if one_row:
                state[:, 0] = part
                state[:, 1:] = self._base.resid_after(layer)[piece.position + 1 :].to(state)
            else:
                state.copy_(part.view_as(state))
        return len(hidden)

    def _width(self, position: int, one_row: bool) -> int:
        return 1 if one_row else self._base.tokens - position

    def _blocks(self, pieces: Sequence[_Piece], one_row: bool) -> list[Block]:
        return [Block(p.position, self._width(p.position, one_row), p.last - p.first) for p in pieces]

    def _hidden(self, layer: int, pieces: Sequence[_Piece], one_row: bool) -> Float[Tensor, "row d_model"]:
        states = [self._states[p.position][p.first : p.last] for p in pieces]
        if one_row:
            before = self._base.trace.resid_pre[layer].to(states[0])
            states = [
                before[p.position].expand(len(state), 1, -1) for p, state in zip(pieces, states, strict=True)
            ]
        return torch.cat([state.flatten(0, 1) for state in states])

    def _puts(self, layer: int, pieces: Sequence[_Piece], blocks: Sequence[Block]) -> dict[str, Put]:
        placed, row = [], 0
        for piece, block in zip(pieces, blocks, strict=True):
            for experiment in self._experiments[piece.position][piece.first : piece.last]:
                for node in experiment.by_layer.get(layer, ()):
                    placed.append((row + node[1].position - piece.position, node))
                row += block.width
        return puts(self._source, placed)


def _take(waiting: list[_Piece], width: Callable[[int], int], rows: int) -> list[_Piece]:
    """Take pieces of together about `rows` rows, at least one cell, off the end of `waiting`."""
    taken: list[_Piece] = []
    while waiting:
        piece = waiting[-1]
        fits = rows // width(piece.position)
        if taken and fits < 1:
            break
        middle = min(piece.last, piece.first + max(1, fits))
        taken.append(_Piece(piece.position, piece.first, middle))
        rows -= width(piece.position) * (middle - piece.first)
        waiting.pop()
        if middle < piece.last:
            waiting.append(_Piece(piece.position, middle, piece.last))
            break
    return taken


def _is_out_of_memory(error: Exception) -> bool:
    # On the processor torch raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
