"""The experiments of a pass that begin at the same position, and the rows of theirs that are recomputed.

Example: a prompt of 4 tokens and three experiments that begin at position 2, two in layer 0 and one in layer 1. Each
has two rows, those of positions 2 and 3, so that `state` is `[3, 2, d_model]`. At layer 0 the first two enter, as the
piece `first=0, end=2`; at layer 1 the third enters, as the piece `first=2, end=3`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.sweep.cells import Node
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.patches import PatchedRow
from backend.engine.sweep.rows import Block


@dataclass(eq=False)
class PositionGroup:
    """Experiments on one base run with the same first patched position.

    Attributes:
        position: that position.
        width: how many rows each of them has: those of this position and of all later ones.
        run: the base run.
        experiments: in the order in which they enter.
        entered: how many of them have entered so far.
        state: their residual streams before the next layer, `[experiment, row, d_model]`.
    """

    position: int
    width: int
    run: int = 0
    experiments: list[Experiment] = field(default_factory=list)
    entered: int = 0
    state: Float[Tensor, "experiment row d_model"] = field(default_factory=lambda: torch.empty(0, 0, 0))
    _nodes: dict[int, list[tuple[int, Node]]] = field(default_factory=dict)

    def add(self, experiment: Experiment) -> None:
        """Append an experiment; the caller sorts."""
        for node in experiment.nodes:
            self._nodes.setdefault(node[1].layer, []).append((len(self.experiments), node))
        self.experiments.append(experiment)

    def move(self, d_model: int, dtype: torch.dtype, device: torch.device) -> None:
        """Allocate the state at the first call; later move it to another device."""
        if not self.state.numel():
            size = (len(self.experiments), self.width, d_model)
            self.state = torch.empty(size, dtype=dtype, device=device)
        self.state = self.state.to(device)

    def enter(self, layer: int, one_row: bool) -> "list[Piece]":
        """The experiments that enter at `layer`, as one piece or none; from here on they count as entered."""
        first = end = self.entered
        while end < len(self.experiments):
            next_one = self.experiments[end]
            if (next_one.layer, next_one.one_row) != (layer, one_row):
                break
            end += 1
        self.entered = end
        return [Piece(self, first, end, one_row)] if end > first else []

    def under_way(self) -> "list[Piece]":
        """All that have entered, as one piece or none."""
        return [Piece(self, 0, self.entered)] if self.entered else []

    def patched(self, layer: int, piece: "Piece", first_row: int) -> list[PatchedRow]:
        """The rows that a piece patches in `layer`, if its first row is the batch's row `first_row`."""
        return [
            PatchedRow(
                first_row + (index - piece.first) * piece.width + node[1].position - self.position,
                self.experiments[index].number,
                node,
            )
            for index, node in self._nodes.get(layer, ())
            if piece.first <= index < piece.end
        ]


@dataclass(frozen=True, eq=False)
class Piece:
    """Experiments `first` to `end - 1` of a group, which go through a layer together.

    Attributes:
        one_row: whether they enter at this layer with their first row only. The rows after it are still the base run's.
    """

    group: PositionGroup
    first: int
    end: int
    one_row: bool = False

    @property
    def width(self) -> int:
        """How many rows of each experiment go through the layer."""
        return 1 if self.one_row else self.group.width

    @property
    def state(self) -> Float[Tensor, "experiment row d_model"]:
        """The part of the group's state that belongs to it; a view."""
        return self.group.state[self.first : self.end]

    @property
    def block(self) -> Block:
        """Its rows in the batch."""
        return Block(self.group.position, self.width, self.end - self.first, self.group.run)


def take(waiting: list[Piece], rows: int) -> list[Piece]:
    """Remove pieces of about `rows` rows together from the end of `waiting`, at least one experiment.

    A piece that does not fit is split between two experiments; the rest stays in `waiting`.
    """
    taken: list[Piece] = []
    while waiting:
        piece = waiting[-1]
        fits = rows // piece.width
        if taken and fits < 1:
            break
        split_at = min(piece.end, piece.first + max(1, fits))
        taken.append(replace(piece, end=split_at))
        rows -= piece.width * (split_at - piece.first)
        waiting.pop()
        if split_at < piece.end:
            waiting.append(replace(piece, first=split_at))
            break
    return taken


def entry_order(experiments: Sequence[Experiment]) -> list[int]:
    """Indices of experiments: run by run, late positions first, at each position in the order in which they enter."""

    def entry(index: int) -> tuple[int, int, int, bool]:
        experiment = experiments[index]
        return experiment.run, -experiment.position, experiment.layer, experiment.one_row

    return sorted(range(len(experiments)), key=entry)


def grouped(experiments: Iterable[Experiment], tokens: Sequence[int]) -> list[PositionGroup]:
    """The experiments by their base run and first patched position, in the given order.

    `tokens` are the lengths of the base runs' prompts.
    """
    groups: dict[tuple[int, int], PositionGroup] = {}
    for experiment in experiments:
        run, position = experiment.run, experiment.position
        group = PositionGroup(position, tokens[run] - position, run)
        groups.setdefault((run, position), group).add(experiment)
    return [*groups.values()]
