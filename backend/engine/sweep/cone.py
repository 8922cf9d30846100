"""The causal cone: recompute exactly what a patch can change, for many experiments at once.

Example: 3 layers, 4 tokens, a patch at layer 0 and position 2. The letters say what becomes of each row (one position
in one layer):

    patched: z, q, attn_out, mlp_out or pattern         patched: k, v or resid_pre

    position  0  1  2  3                                position  0  1  2  3
    layer 2   .  .  k  x                                layer 2   .  .  k  x
    layer 1   .  .  x  x                                layer 1   .  .  x  x
    layer 0   .  .  p  .                                layer 0   .  .  p  x

    .  the base run's row, not recomputed        p  the patched row, recomputed with the patch
    x  recomputed                                k  recomputed, but only its keys and values are used

Rows before the patch stay as they are, because attention looks back only; recomputed rows attend to the base run's keys
and values there. A patched `z` reaches one row of its own layer (`one_row`), a patched key also the rows after it.
Left, 5 of the 12 rows go through a layer, right 6.

All experiments of a pass go through a layer together, their rows one after the other in one batch. With A and B
patched at position 2 and C at position 3 the batch of a layer above has the rows A2 A3 B2 B3 C3. At each layer the
experiments that are patched there enter, and the others continue.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from backend.engine.instrument import Instrument
from backend.engine.products import filler_rows
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.layer_call import Batch, call_layer
from backend.engine.sweep.patches import patches_of
from backend.engine.sweep.position_group import Piece, PositionGroup, entry_order, grouped, take
from backend.engine.sweep.row_limit import RowLimit
from backend.engine.sweep.rows import Block
from backend.engine.sweep.source import Source
from backend.engine.trace import Trace
from backend.models.memory import is_out_of_memory
from backend.models.placement import device_of

Watch = Callable[[int, Sequence[PositionGroup]], None]
"""Called after each layer with its number and the groups, whose states are then those after this layer."""


class ConePass:
    """Takes some experiments together from the lowest patched layer to the last one."""

    def __init__(
        self,
        instrument: Instrument,
        bases: Sequence[Trace],
        source: Source,
        experiments: Sequence[Experiment],
        limit: RowLimit,
        advanced: Callable[[int], None],
        watch: Watch | None = None,
    ) -> None:
        """`bases` are the base runs, as `Experiment.run` counts them.

        `advanced` is called with the number of rows that went through a layer. With `watch` the last layer computes
        every row, not only the last of each experiment.
        """
        self._instrument = instrument
        self._bases = bases
        self._source = source
        self._limit = limit
        self._advanced = advanced
        self._watch = watch
        self._layers = instrument.family.layers(instrument.model)
        self._order = entry_order(experiments)
        self._groups = grouped((experiments[i] for i in self._order), [base.positions for base in bases])

    @torch.no_grad()
    def run(self) -> Tensor:
        """The final residual stream at the last position, `[experiment, d_model]`, in the order given.

        Raises:
            ResourceError: the rows of one experiment do not fit into memory.
            Cancelled: `advanced` raised it.
        """
        first = min(group.experiments[0].layer for group in self._groups)
        for layer in range(first, len(self._layers)):
            self._move(layer)
            for piece in self._entering(layer, one_row=False):
                piece.state.copy_(self._base_of(piece).resid_pre[layer, -piece.group.width :])
            under_way = [piece for group in self._groups for piece in group.under_way()]
            self._in_batches(layer, [*under_way, *self._entering(layer, one_row=True)])
            if self._watch is not None:
                self._watch(layer, self._groups)
        final = torch.cat([group.state[:, -1] for group in self._groups])
        return final[torch.tensor(self._order, device=final.device).argsort()]

    def _move(self, layer: int) -> None:
        """Move all rows to the device of the layer's weights."""
        device = device_of(self._layers[layer])
        for group in self._groups:
            group.move(self._instrument.shape.d_model, self._instrument.model.dtype, device)

    def _entering(self, layer: int, one_row: bool) -> list[Piece]:
        return [piece for group in self._groups for piece in group.enter(layer, one_row)]

    def _in_batches(self, layer: int, pieces: Sequence[Piece]) -> None:
        """Take pieces through a layer, as many rows at a time as the limit says; an experiment is never split."""
        waiting = list(reversed(pieces))
        while waiting:
            rows_left = sum(piece.block.rows for piece in waiting)
            pieces_now = take(waiting, self._limit.share(rows_left))
            blocks = [piece.block for piece in pieces_now]
            rows = sum(block.rows for block in blocks)
            try:
                self._through(layer, pieces_now, blocks)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._limit.halve(rows, sum(block.count for block in blocks))
                waiting.extend(reversed(pieces_now))
            else:
                self._advanced(rows)

    def _through(self, layer: int, pieces: Sequence[Piece], blocks: Sequence[Block]) -> None:
        """One call of `layer`."""
        last_only = layer + 1 == len(self._layers) and self._watch is None
        after = call_layer(
            self._instrument, self._bases, layer, self._batch(layer, pieces, blocks), last_only
        )
        sizes = [block.rows for block in blocks]
        parts = list(zip(pieces, torch.split(after[: sum(sizes)], sizes), strict=True))
        # Pieces of one row first. Filling up their rows takes memory and may fail; then the whole batch is taken again,
        # which needs the other states as they were before this layer.
        for piece, part in sorted(parts, key=lambda pair: not pair[0].one_row):
            state = piece.state
            if piece.one_row:
                state[:, 0] = part
                state[:, 1:] = self._base_of(piece).resid_after(layer)[-piece.group.width :][1:].to(state)
            else:
                state.copy_(part.view_as(state))

    def _batch(self, layer: int, pieces: Sequence[Piece], blocks: Sequence[Block]) -> Batch:
        filler = self._filler(layer, blocks)
        hidden = [self._rows_before(layer, piece) for piece in pieces]
        patched, first_row = [], 0
        for piece, block in zip(pieces, blocks, strict=True):
            patched.extend(piece.group.patched(layer, piece, first_row))
            first_row += block.rows
        return Batch(
            hidden=torch.cat([*hidden, hidden[0].new_zeros(filler.rows, hidden[0].shape[1])]),
            blocks=[*blocks, filler],
            patches=patches_of(self._source, layer, patched),
        )

    def _filler(self, layer: int, blocks: Sequence[Block]) -> Block:
        """Rows of zeros that make the batch's products faster, each an experiment of its own at position 0.

        None for a single experiment, which must fit without them, and none in the last layer: most of its matrices take
        the last row of each experiment only.
        """
        rows = sum(block.rows for block in blocks)
        more = filler_rows(rows, self._layers[layer].modules())
        single = sum(block.count for block in blocks) == 1
        fits = not single and layer + 1 < len(self._layers) and rows + more <= self._limit.rows
        return Block(start=0, width=1, count=more if fits else 0)

    def _rows_before(self, layer: int, piece: Piece) -> Tensor:
        """The residual stream of a piece's rows before `layer`, `[row, d_model]`."""
        state = piece.state
        if not piece.one_row:
            return state.flatten(0, 1)
        return self._base_of(piece).resid_pre[layer, -piece.group.width].to(state).expand(len(state), -1)

    def _base_of(self, piece: Piece) -> Trace:
        return self._bases[piece.group.run]
