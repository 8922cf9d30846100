"""What an analysis takes, told before it is run: seconds and memory, from the model's sizes and the machine's speed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from backend.analyses.checks.schema import SELF_CHECK
from backend.analyses.checks.self_check import TEXT
from backend.analyses.cost.formulas import PRICED
from backend.analyses.cost.machine import machine_of
from backend.analyses.cost.work import Asked, Work
from backend.analyses.patching.schema import PATCHING, PATCHING_COST
from backend.analyses.task import Findings, Task
from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress
from backend.contract.request import Request
from backend.engine.instrument import KEPT_TRACES_BYTES, Instrument
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
    kept = Work(held=min(traces, KEPT_TRACES_BYTES))
    total = sum((priced.formula(cost, asked) for asked in prompts), kept)
    progress("Measuring this machine")
    return Expected(priced.seconds(machine_of(instrument), total), int(total.held))


def _asked(instrument: Instrument, task: Task) -> list[Asked]:
    params, several = task.request.params, task.request.question is None
    if task.request.analysis == SELF_CHECK.name:
        return [Asked(len(instrument.tokenizer(TEXT)["input_ids"]), labels=4)]
    prompts = task.prompts(instrument)
    return [Asked(len(prompt.token_ids), len(prompt.labels), several, params) for prompt in prompts]


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """What another analysis would take. Scalars `expected_seconds`, `expected_bytes` (beside the weights)."""
    params = task.request.params
    name, inner = params.get("analysis"), params.get("params", {})
    if name not in [*PRICED]:  # which may be a list, and have no hash
        raise RequestError(f"params.analysis must be one of {', '.join(PRICED)}, not {shown(name)}.")
    if not isinstance(inner, Mapping):
        raise RequestError(f"params.params must be an object, not {shown(inner)}.")
    fields = {part: getattr(task.request, part) for part in ("model", "question", "questions", "prompt")}
    request = Request.build(name, params=inner, **fields)
    PRICED[name].analysis.check(request)
    try:
        found = expected(instrument, replace(task, request=request), progress)
    except OverflowError as error:
        raise RequestError(f"params.params asks for more than can be counted: {shown(inner)}.") from error
    return Findings(scalars={"expected_seconds": found.seconds, "expected_bytes": found.bytes})
