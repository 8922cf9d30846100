"""What a request for patching asks for, with everything decided that it leaves open."""

from dataclasses import dataclass

from backend.analyses.analysis import Task
from backend.analyses.budget import Budget, chosen_budget
from backend.analyses.pairs import DIRECTIONS, PAIR_PARAMS, Pair, Runs, pairs_of
from backend.analyses.params import one_of
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    COMPONENTS,
    Cell,
    Estimate,
    Experiment,
    Node,
    RunSource,
    Wanted,
    all_cells,
    cost_of,
    estimate,
    experiments,
)
from backend.errors import RequestError, shown
from backend.questions.prompt import Prompt

PARAMS = (*PAIR_PARAMS, "component", "direction", "positions", "budget")


@dataclass(frozen=True)
class Draw:
    """One corrupted prompt's sweep: its runs, and for each cell of the grid what is patched (nothing: refused)."""

    pair: Pair
    runs: Runs
    sets: list[list[Node]]

    def source(self, instrument: Instrument) -> RunSource:
        """Where the patched values come from."""
        return self.runs.run_source(instrument)

    def experiments(self, instrument: Instrument) -> list[Experiment]:
        """The cells that can change something."""
        return experiments(instrument, self.runs.base, self.source(instrument), self.sets)


@dataclass(frozen=True)
class Plan:
    """A request with everything decided.

    Attributes:
        positions: of the clean prompt, those swept.
        cells: every cell at those positions, in the order of the component's axes.
        draws: one sweep for each corrupted prompt.
    """

    prompt: Prompt
    component: str
    direction: str
    positions: tuple[int, ...]
    cells: list[Cell]
    draws: list[Draw]
    budget: Budget

    @property
    def wanted(self) -> Wanted:
        """What the sweeps are to tell."""
        pair = self.draws[0].pair
        return Wanted(pair.token_ids, pair.vocabulary)

    def estimate(self, instrument: Instrument) -> Estimate:
        """What all draws cost. Raises ResourceError where one cell alone is too large for the memory."""
        each = [
            estimate(instrument, draw.runs.base, draw.source(instrument), draw.sets, self.budget.bytes)
            for draw in self.draws
        ]
        return Estimate(
            flops=sum(part.flops for part in each),
            peak_bytes=max(part.peak_bytes for part in each),
            cells=sum(part.cells for part in each),
        )

    def flops(self, instrument: Instrument) -> dict[int, float]:
        """What the cells at each position swept cost, over all draws."""
        cost, total = cost_of(instrument), dict.fromkeys(self.positions, 0.0)
        for draw in self.draws:
            for experiment in draw.experiments(instrument):
                position = self.cells[experiment.number].position
                total[position] += cost.flops(len(draw.runs.base), experiment)
        return total


def plan(instrument: Instrument, task: Task) -> Plan:
    """Decide everything that a request leaves open. Raises RequestError naming the parameter."""
    params = task.request.params
    (prompt,) = task.prompts(instrument)
    component = one_of(params, "component", COMPONENTS, "z")
    direction = one_of(params, "direction", DIRECTIONS)
    positions = _positions(params.get("positions", "all"), prompt)
    cells = all_cells(component, instrument.shape, positions)
    draws = [_draw(pair, direction, component, cells) for pair in pairs_of(instrument, task, 0, prompt)]
    if component == "pattern" and not any(draw.pair.other.aligned for draw in draws):
        raise RequestError(
            "A pattern has a number for each token that a head looks at: it can be patched between prompts of the same "
            "length only. Choose another component, or a corruption like swap_options, which keeps the length."
        )
    if not any(nodes for draw in draws for nodes in draw.sets):
        raise RequestError(
            "None of the chosen positions has a counterpart in the corrupted prompt, so nothing can be patched. "
            "Choose other positions, or a corruption of equal length such as swap_options."
        )
    budget = chosen_budget(params.get("budget", {}))
    return Plan(prompt, component, direction, positions, cells, draws, budget)


def _draw(pair: Pair, direction: str, component: str, cells: list[Cell]) -> Draw:
    """The cells, given at positions of the clean prompt, as nodes of the base run."""
    runs = pair.runs(direction)
    aligned = component != "pattern" or pair.other.aligned
    sets: list[list[Node]] = []
    for cell in cells:
        place = runs.places[cell.position] if aligned else None
        sets.append([] if place is None else [(component, Cell(cell.layer, place, cell.head))])
    return Draw(pair, runs, sets)


def _positions(data: object, prompt: Prompt) -> tuple[int, ...]:
    count = len(prompt.token_ids)
    if data == "all":
        return tuple(range(count))
    if data == "final":
        return (count - 1,)
    if not isinstance(data, list) or not data or not all(type(part) is int for part in data):
        raise RequestError(
            f'params.positions must be "all", "final" or a list of positions, not {shown(data)}.'
        )
    for position in data:
        if not 0 <= position < count:
            raise RequestError(
                f"Position {shown(position)} is out of range: the prompt has {count} tokens, counted from 0."
            )
    return tuple(dict.fromkeys(data))
