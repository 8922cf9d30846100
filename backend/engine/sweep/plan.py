"""How a sweep is split: passes small enough for the memory, and for something to be done every few seconds."""

from dataclasses import dataclass

from backend.engine.instrument import Instrument
from backend.engine.sweep.cost import cost_of
from backend.engine.sweep.experiment import Experiment
from backend.errors import ResourceError
from backend.models.memory import available_memory


@dataclass(frozen=True)
class Limits:
    """The most that is done at a time, where memory allows it.

    Attributes:
        rows: of one call of a layer.
        flops: floating-point operations of one pass: a quarter of a minute.
    """

    rows: int
    flops: float

    def pass_flops(self, before: int) -> float:
        """Of the pass that comes after so many: the first are shorter, so that something is seen soon."""
        return self.flops * min(1, (before + 1) / 3)


PROCESSOR = Limits(rows=1344, flops=3e12)
"""In the first layers of a pass few cells are under way and the matrices small, so that shorter passes are slower ones.
Two thirds of the rows are usual, enough for the full speed of matrix products; more leave the caches and delay a
cancel."""
CARD = Limits(rows=16384, flops=1e15)
"""For a graphics card, from its data sheet and not tried."""


def limits_of(device: str) -> Limits:
    """Limits for a kind of device: cpu, cuda, mps or offload."""
    return PROCESSOR if device == "cpu" else CARD


def budget_for(instrument: Instrument) -> int:
    """A quarter of the memory that is free now, in bytes; of the fullest device, since a pass goes through all."""
    return min(map(available_memory, instrument.layers_on)) // 4


def batch_rows(instrument: Instrument, tokens: int, budget: int) -> int:
    """How many rows one call takes: half of the budget, no more than is good for speed."""
    return max(
        1,
        min(limits_of(instrument.resolved.device).rows, budget // 2 // cost_of(instrument).row_bytes(tokens)),
    )


def passes(
    instrument: Instrument, tokens: int, experiments: list[Experiment], budget: int
) -> list[list[Experiment]]:
    """Experiments split into passes, late positions first: they are cheap, and the most telling.

    Raises ResourceError where half of the budget has no room for the rows of one experiment.
    """
    cost, room = cost_of(instrument), budget // 2
    limits = limits_of(instrument.resolved.device)
    split: list[list[Experiment]] = []
    used_flops, used_bytes = 0.0, 0
    for experiment in sorted(experiments, key=lambda experiment: -experiment.position):
        need_flops, need_bytes = cost.flops(tokens, experiment), cost.state_bytes(tokens, experiment)
        if need_bytes > room:
            raise ResourceError(
                f"Patching at position {experiment.position} needs {2 * need_bytes / 1e6:.3g} MB and the budget is "
                f"{budget / 1e6:.3g} MB. Give it more, or take later positions."
            )
        if (
            not split
            or used_bytes + need_bytes > room
            or used_flops + need_flops > limits.pass_flops(len(split) - 1)
        ):
            split.append([])
            used_flops, used_bytes = 0.0, 0
        split[-1].append(experiment)
        used_flops, used_bytes = used_flops + need_flops, used_bytes + need_bytes
    return split
