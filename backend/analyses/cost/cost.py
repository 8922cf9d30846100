"""How long an analysis takes on this machine and how much memory, before it is run."""

from dataclasses import replace

from backend.analyses import ANALYSES
from backend.analyses.cost.machine import machine_of
from backend.analyses.cost.schema import asked_about
from backend.analyses.task import Findings, Task
from backend.contract.errors import RequestError, shown
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The cost of another analysis. Scalars `expected_seconds` and `expected_bytes`, in addition to the weights.

    Raises RequestError for more work than a number can hold, and what planning that analysis raises.
    """
    request = asked_about(task.request)
    analysis = ANALYSES[request.analysis]
    assert analysis.cost is not None  # the schema offers no other
    try:
        work = analysis.cost.target.work(instrument, replace(task, request=request), progress)
        progress("Measuring this machine")
        seconds = analysis.overhead * machine_of(instrument).seconds(work)
        return Findings(scalars={"expected_seconds": seconds, "expected_bytes": int(work.held)})
    except OverflowError as error:
        raise RequestError(
            f"params.params asks for more than can be counted: {shown(request.params)}."
        ) from error
