"""Where the patched values come from: another run (`RunSource`), or given values (`OwnValues`)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress, silent
from backend.engine.instrument import Instrument
from backend.engine.pattern import full_pattern
from backend.engine.sweep.cells import Cell, Node
from backend.engine.trace import Trace

Ids = tuple[int, ...]
Match = Sequence[int | None]
"""For each position of the base run its counterpart in the source run; None if it has none."""


class Patchable:
    """Which nodes can be patched, and which cannot change anything. An estimate needs no more than this."""

    def unchanged(self, cell: Cell) -> bool:
        """Whether the patched value is known to equal the base run's."""
        return False

    def check(self, node: Node) -> None:
        """Raise RequestError if there is no value for a node."""
        return


class Source(Patchable, ABC):
    """Values that replace the base run's."""

    @abstractmethod
    def values(
        self, component: str, layer: int, wanted: Sequence[tuple[int, Cell]]
    ) -> Float[Tensor, "wanted size"]:
        """The values of some cells of one layer, on the CPU.

        Args:
            wanted: cells, each with the number of its experiment.

        Returns:
            One row for each cell: for the pattern a weight for each position of the prompt, for other components
            `d_head` or `d_model` numbers.
        """


class Pairing(Patchable):
    """The counterpart in the source prompt of each position of the base prompt.

    >>> Pairing((5, 6, 7), (5, 9, 7)).first
    1
    """

    def __init__(self, base_ids: Ids, source_ids: Ids, match: Match | None = None) -> None:
        """Raises RequestError if the prompts' lengths differ and there is no `match`."""
        if match is None and len(base_ids) != len(source_ids):
            raise RequestError(
                f"The clean and the corrupted prompt must have the same number of tokens; they have "
                f"{len(base_ids)} and {len(source_ids)}. Change the wording of one until they agree."
            )
        self.base_ids, self.source_ids = base_ids, source_ids
        self.match: Match = range(len(base_ids)) if match is None else tuple(match)

    @cached_property
    def aligned(self) -> bool:
        """Whether each position is its own counterpart."""
        return len(self.base_ids) == len(self.source_ids) and all(
            counterpart == position for position, counterpart in enumerate(self.match)
        )

    @cached_property
    def first(self) -> int:
        """The first position whose activations may differ; the base prompt's length if none may."""
        pairs = zip(self.base_ids, self.source_ids, strict=False)
        return next((i for i, (mine, other) in enumerate(pairs) if mine != other), len(self.base_ids))

    def unchanged(self, cell: Cell) -> bool:
        return cell.position < self.first and self.match[cell.position] == cell.position

    def check(self, node: Node) -> None:
        component, cell = node
        self.counterpart(cell.position)
        if component == "pattern" and not self.aligned:
            raise RequestError(
                "Attention patterns can be patched only between prompts whose tokens are at the same positions. "
                "Choose another component, or a corruption such as swap_options."
            )

    def counterpart(self, position: int) -> int:
        """The position's counterpart in the source run. Raises RequestError if it has none."""
        found = self.match[position]
        if found is None:
            raise RequestError(
                f"Position {shown(position)} has no counterpart in the other prompt, so it cannot be patched."
            )
        return found


class RunSource(Source):
    """Another run's activations."""

    def __init__(self, pairing: Pairing, trace: Trace) -> None:
        self.pairing = pairing
        self._trace = trace

    def values(
        self, component: str, layer: int, wanted: Sequence[tuple[int, Cell]]
    ) -> Float[Tensor, "wanted size"]:
        cells = [cell for _, cell in wanted]
        # Counted from the end, so that a trace of the final position alone serves cells there.
        at = torch.tensor([self.pairing.counterpart(cell.position) - self._trace.positions for cell in cells])
        if cells[0].head is None:
            found: Tensor = getattr(self._trace, component)[layer, at]
            return found
        heads = torch.tensor([cell.head for cell in cells])
        if component == "pattern":
            return self._patterns(layer, at, heads)
        of_head: Tensor = getattr(self._trace, component)[layer, at, heads]
        return of_head

    def unchanged(self, cell: Cell) -> bool:
        return self.pairing.unchanged(cell)

    def check(self, node: Node) -> None:
        self.pairing.check(node)

    def _patterns(
        self, layer: int, at: Int[Tensor, " wanted"], heads: Int[Tensor, " wanted"]
    ) -> Float[Tensor, "wanted key"]:
        values = torch.empty(len(at), self._trace.positions)
        for head in set(heads.tolist()):
            mine = heads == head
            values[mine] = full_pattern(self._trace, layer, head)[at[mine]]
        return values


class OwnValues(Source):
    """Given values, `[size]` each, by experiment number and node."""

    def __init__(self, values: Mapping[tuple[int, Node], Tensor]) -> None:
        self._values = values

    def values(
        self, component: str, layer: int, wanted: Sequence[tuple[int, Cell]]
    ) -> Float[Tensor, "wanted size"]:
        return torch.stack([self._values[number, (component, cell)] for number, cell in wanted])


def run_source(
    instrument: Instrument,
    base_ids: Ids,
    source_ids: Ids,
    match: Match | None = None,
    progress: Progress = silent,
) -> RunSource:
    """The activations of the run on `source_ids`. Raises RequestError as `Pairing` does, and Cancelled."""
    return RunSource(Pairing(base_ids, source_ids, match), instrument.trace(source_ids, progress))
