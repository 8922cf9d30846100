"""From a request for patching to the sweeps that it needs."""

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass, replace

from backend.analyses.patching.budget import Budget, SweepCost, Sweeps, chosen_budget, sweep_cost, within
from backend.analyses.patching.pairs import Pair, Runs, pairs_of
from backend.analyses.patching.schema import PATCHING
from backend.analyses.positions import chosen_positions
from backend.analyses.task import Task
from backend.contract.corruptions import of_equal_length
from backend.contract.errors import RequestError
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
    """The sweep of one corrupted prompt.

    Attributes:
        sets: for each cell of the plan the node that is patched; empty if the base run has no counterpart.
    """

    pair: Pair
    runs: Runs
    sets: list[list[Node]]

    def experiments(self, instrument: Instrument) -> list[Experiment]:
        """The cells that can change the final logits."""
        return experiments(instrument, self.runs.base, self.runs.pairing, self.sets)


@dataclass(frozen=True)
class SweepPlan:
    """The sweeps of a request.

    Attributes:
        positions: the positions of the clean prompt that are patched.
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
        """What is read out after each patch."""
        pair = self.draws[0].pair
        return Wanted(pair.token_ids, pair.vocabulary)

    def sweeps(self, instrument: Instrument, progress: Progress) -> Sweeps:
        """Estimates of the sweeps of all draws. Raises Cancelled if `progress` does."""
        estimates = [
            estimate(instrument, draw.runs.base, draw.runs.pairing, draw.sets, self.budget.bytes, progress)
            for draw in self.draws
        ]
        return Sweeps(len(self.prompt.token_ids), estimates)

    def cost(self, instrument: Instrument, progress: Progress) -> SweepCost:
        """What all draws cost on this machine. Raises Cancelled if `progress` does."""
        return sweep_cost(instrument, self.sweeps(instrument, progress))

    def at(self, positions: Collection[int]) -> "SweepPlan":
        """The plan for some of its positions."""
        wanted = {*positions}
        indices = [index for index, cell in enumerate(self.cells) if cell.position in wanted]
        return replace(
            self,
            positions=tuple(position for position in self.positions if position in wanted),
            cells=[self.cells[index] for index in indices],
            draws=[replace(draw, sets=[draw.sets[index] for index in indices]) for draw in self.draws],
        )


def what_fits(instrument: Instrument, chosen: SweepPlan, progress: Progress) -> str:
    """For a plan beyond its budget, a sentence that names the last positions that would be within it."""
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


def plan(instrument: Instrument, task: Task, progress: Progress) -> SweepPlan:
    """The sweeps of a request, with the corrupted prompts made. Raises RequestError naming the parameter."""
    values = PATCHING.values(task.request)
    (prompt,) = task.prompts(instrument)
    component, direction = values["component"], values["direction"]
    positions = chosen_positions(values["positions"], len(prompt.token_ids))
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
    return SweepPlan(prompt, component, direction, positions, cells, draws, budget)


def _draw(pair: Pair, direction: str, component: str, cells: list[Cell]) -> Draw:
    """The sweep of one pair; cells are at positions of the clean prompt, and become nodes of the base run."""
    runs = pair.runs(direction)
    sets: list[list[Node]] = []
    for cell in cells:
        position = runs.base_positions[cell.position]
        sets.append([] if position is None else [(component, Cell(cell.layer, position, cell.head))])
    return Draw(pair, runs, sets)


def _in_words(positions: Collection[int]) -> str:
    """Positions as text, neighbours as a range.

    >>> _in_words([9, 5, 4, 3]), _in_words([9])
    ('Positions 3 to 5, 9', 'Position 9')
    """
    ranges: list[list[int]] = []
    for position in sorted(positions):
        if ranges and ranges[-1][-1] == position - 1:
            ranges[-1].append(position)
        else:
            ranges.append([position])
    texts = (f"{each[0]} to {each[-1]}" if len(each) > 1 else str(each[0]) for each in ranges)
    return f"Position{'s' * (len(positions) > 1)} {', '.join(texts)}"
