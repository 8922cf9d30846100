"""The cost model of an analysis: what it has to do, from the model's sizes and from the request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.analyses.cost.work import Work
from backend.analyses.task import Task
from backend.contract.analysis import Analysis
from backend.contract.progress import Progress
from backend.engine.instrument import CACHED_TRACES_BYTES, Instrument
from backend.engine.sweep import Cost, cost_of
from backend.engine.trace import trace_bytes


@dataclass(frozen=True)
class OnePrompt:
    """What of a request decides the cost of one of its prompts.

    Attributes:
        tokens, labels: how many the prompt has.
        several: whether the request has several questions.
        params: the analysis' parameters.
    """

    tokens: int
    labels: int
    several: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """How many corrupted prompts are drawn."""
        draws: int = self.params.get("corruption", {}).get("draws", 1)
        return draws

    def count(self, name: str, default: Sequence[object]) -> int:
        """The length of the list `name` among the params, or else that of the default."""
        given = self.params.get(name)
        return len(given) if isinstance(given, list) else len(default)


Formula = Callable[[Cost, OnePrompt], Work]


@dataclass(frozen=True)
class CostModel:
    """What an analysis has to do.

    Attributes:
        formula: the work of one prompt, without a loaded model.
        work: the work of a request.
    """

    formula: Formula
    work: Callable[[Instrument, Task, Progress], Work]


def per_prompt(analysis: Analysis) -> Callable[[Formula], CostModel]:
    """Make a formula the cost model of an analysis that goes through its prompts one by one and keeps their traces."""

    def model(formula: Formula) -> CostModel:
        def work(instrument: Instrument, task: Task, progress: Progress) -> Work:
            sizes, values = cost_of(instrument), analysis.values(task.request)
            prompts = [
                OnePrompt(len(prompt.token_ids), len(prompt.labels), task.request.question is None, values)
                for prompt in task.prompts(instrument)
            ]
            traces = sum(trace_bytes(sizes.shape, prompt.tokens) for prompt in prompts)
            kept = Work(held=min(traces, CACHED_TRACES_BYTES))
            return sum((formula(sizes, prompt) for prompt in prompts), kept)

        return CostModel(formula, work)

    return model
