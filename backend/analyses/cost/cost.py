"""What an analysis takes, told before it is run: seconds and memory, from the model's sizes and the machine's speed."""

from dataclasses import dataclass, replace

from backend.analyses.checks.schema import SELF_CHECK
from backend.analyses.checks.self_check import TEXT
from backend.analyses.cost.formulas import PRICED
from backend.analyses.cost.machine import machine_of
from backend.analyses.cost.schema import asked_about
from backend.analyses.cost.work import Asked, Work
from backend.analyses.patching.schema import PATCHING, PATCHING_COST
from backend.analyses.task import Findings, Task
from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress
from backend.engine.instrument import CACHED_TRACES_BYTES, Instrument
from backend.engine.sweep import cost_of
from backend.engine.trace import trace_bytes


@dataclass(frozen=True)
class Expected:
    """What a request takes: seconds as a rule, and the most bytes beside the weights."""

    seconds: float
    bytes: int


def expected(instrument: Instrument, task: Task, progress: Progress) -> Expected:
    """What a request of one of `PRICED` takes on this machine.

    A patching request's own estimate knows which cells need not be run.
    """
    name = task.request.analysis
    if name == PATCHING.name:
        found = PATCHING_COST.run(instrument, task, progress).scalars
        return Expected(found["expected_seconds"], found["expected_bytes"])
    priced, cost = PRICED[name], cost_of(instrument)
    prompts = _asked(instrument, task)
    traces = sum(trace_bytes(cost.shape, asked.tokens) for asked in prompts)
    kept = Work(held=min(traces, CACHED_TRACES_BYTES))
    total = sum((priced.formula(cost, asked) for asked in prompts), kept)
    progress("Measuring this machine")
    return Expected(priced.seconds(machine_of(instrument), total), int(total.held))


def _asked(instrument: Instrument, task: Task) -> list[Asked]:
    several = task.request.question is None
    if task.request.analysis == SELF_CHECK.name:
        return [Asked(len(instrument.tokenizer(TEXT)["input_ids"]), labels=4)]
    values = PRICED[task.request.analysis].analysis.values(task.request)
    prompts = task.prompts(instrument)
    return [Asked(len(prompt.token_ids), len(prompt.labels), several, values) for prompt in prompts]


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """What another analysis would take. Scalars `expected_seconds`, `expected_bytes` (beside the weights)."""
    request = asked_about(task.request)
    try:
        found = expected(instrument, replace(task, request=request), progress)
    except OverflowError as error:
        raise RequestError(
            f"params.params asks for more than can be counted: {shown(request.params)}."
        ) from error
    return Findings(scalars={"expected_seconds": found.seconds, "expected_bytes": found.bytes})
