"""What a request for patching asks for, with everything decided that it leaves open."""

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass, replace

from backend.analyses.patching.budget import Budget, SweepCost, Sweeps, chosen_budget, sweep_cost, within
from backend.analyses.patching.pairs import Pair, Runs, pairs_of
from backend.analyses.patching.schema import PATCHING
from backend.analyses.task import Task
from backend.contract.corruptions import of_equal_length
from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import (
    Cell,
    Experiment,
    Node,
    Wanted,
    all_cells,
    estimate,
    experiments,
)
from backend.questions.prompt import Prompt


@dataclass(frozen=True)
class Draw:
    """One corrupted prompt's sweep: its runs, and for each cell of the grid what is patched (nothing: refused)."""

    pair: Pair
    runs: Runs
    sets: list[list[Node]]

    def experiments(self, instrument: Instrument) -> list[Experiment]:
        """The cells that can change something."""
        return experiments(instrument, self.runs.base, self.runs.pairing, self.sets)


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

    def sweeps(self, instrument: Instrument, progress: Progress) -> Sweeps:
        """The sweeps of all draws. Raises Cancelled when `progress` does."""
        estimates = [
            estimate(instrument, draw.runs.base, draw.runs.pairing, draw.sets, self.budget.bytes, progress)
            for draw in self.draws
        ]
        return Sweeps(len(self.prompt.token_ids), estimates)

    def cost(self, instrument: Instrument, progress: Progress) -> SweepCost:
        """What all draws cost on this machine. Raises Cancelled when `progress` does."""
        return sweep_cost(instrument, self.sweeps(instrument, progress))

    def at(self, positions: Collection[int]) -> "Plan":
        """The same at some of its positions."""
        wanted = {*positions}
        kept = [number for number, cell in enumerate(self.cells) if cell.position in wanted]
        return replace(
            self,
            positions=tuple(position for position in self.positions if position in wanted),
            cells=[self.cells[number] for number in kept],
            draws=[replace(draw, sets=[draw.sets[number] for number in kept]) for draw in self.draws],
        )


def what_fits(instrument: Instrument, chosen: Plan, progress: Progress) -> str:
    """A sentence for a plan beyond its budget: which of the last positions alone are within it."""
    latest = sorted(chosen.positions, reverse=True)

    def cost(positions: Collection[int]) -> SweepCost:
        return chosen.at(positions).cost(instrument, progress)

    def beyond(count: int) -> bool:
        return not within(chosen.budget, cost(latest[:count]))

    fits = latest[: bisect_left(range(1, len(latest)), True, key=beyond)]
    if fits and cost(fits).cells:
        return f"{_in_words(fits)} (counted from 0) alone would fit."
    each = ((position, cost([position])) for position in latest)
    position, alone = next((position, alone) for position, alone in each if alone.cells)
    return f"Not even position {position} (counted from 0) alone would fit: {alone.in_words}."


def plan(instrument: Instrument, task: Task, progress: Progress) -> Plan:
    """Decide everything that a request leaves open. Raises RequestError naming the parameter."""
    values = PATCHING.values(task.request)
    (prompt,) = task.prompts(instrument)
    component, direction = values["component"], values["direction"]
    positions = _positions(values["positions"], prompt)
    cells = all_cells(component, instrument.shape, positions)
    draws = [
        _draw(pair, direction, component, cells)
        for pair in pairs_of(instrument, task, 0, prompt, values, progress)
    ]
    if component == "pattern" and not all(draw.pair.other.aligned for draw in draws):
        raise RequestError(
            "A pattern has a number for each token that a head looks at: it can be patched between prompts of the same "
            f"length only. Choose another component, or a corruption that keeps the length: {of_equal_length()}."
        )
    if not any(nodes for draw in draws for nodes in draw.sets):
        raise RequestError(
            "None of the chosen positions has a counterpart in the corrupted prompt, so nothing can be patched. "
            f"Choose other positions, or a corruption of equal length: {of_equal_length()}."
        )
    budget = chosen_budget(values["budget"])
    return Plan(prompt, component, direction, positions, cells, draws, budget)


def _draw(pair: Pair, direction: str, component: str, cells: list[Cell]) -> Draw:
    """The cells, given at positions of the clean prompt, as nodes of the base run."""
    runs = pair.runs(direction)
    sets: list[list[Node]] = []
    for cell in cells:
        place = runs.places[cell.position]
        sets.append([] if place is None else [(component, Cell(cell.layer, place, cell.head))])
    return Draw(pair, runs, sets)


def _positions(data: str | list[int], prompt: Prompt) -> tuple[int, ...]:
    count = len(prompt.token_ids)
    if data == "all":
        return tuple(range(count))
    if isinstance(data, str):
        return (count - 1,)
    for position in data:
        if position >= count:
            raise RequestError(
                f"Position {shown(position)} is out of range: the prompt has {count} tokens, counted from 0."
            )
    return tuple(data)


def _in_words(positions: Collection[int]) -> str:
    """Positions with each run of neighbours as one.

    >>> _in_words([9, 5, 4, 3]), _in_words([9])
    ('Positions 3 to 5, 9', 'Position 9')
    """
    runs: list[list[int]] = []
    for position in sorted(positions):
        if runs and runs[-1][-1] == position - 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    told = (f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"Position{'s' * (len(positions) > 1)} {', '.join(told)}"
