"""What patching and attribution patching cost."""

from collections.abc import Mapping

from backend.analyses.cost.model import CostModel, OnePrompt, per_prompt
from backend.analyses.cost.work import Work, cones, one_pass, traced, two_traces
from backend.analyses.patching.attribution_schema import ATTRIBUTION_PATCHING
from backend.analyses.patching.budget import RECHECKED, sweep_work
from backend.analyses.patching.plan import plan
from backend.analyses.patching.schema import PATCHING, POSSIBLE_CORRUPTIONS
from backend.analyses.task import Task
from backend.contract.progress import Progress
from backend.engine.gradients import PER_TRACE
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cost, cost_of
from backend.engine.trace import trace_bytes


@per_prompt(ATTRIBUTION_PATCHING)
def attribution_patching(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces, one of them with its graph, and back; with GradDrop back once more for each layer.

    Going back costs what a pass costs, since weights have no gradient. Every going back ends in estimates: a dozen
    times through the patterns in double precision, head by head, and through the traces. Their small operations take
    a layer 1.2 times, and each of its heads 0.4 times, what calling a layer does (measured on three models).
    """
    shape, tokens = sizes.shape, prompt.tokens
    patterns = 8 * shape.layers * shape.heads * tokens**2
    estimates = Work(
        moved=12 * patterns + 3 * trace_bytes(shape, tokens), calls=shape.layers * (1.2 + 0.4 * shape.heads)
    )
    back = one_pass(sizes, tokens) + estimates
    times = 1 + shape.layers if prompt.params.get("grad_drop") is True else 1
    found = back * times + Work(held=PER_TRACE * trace_bytes(shape, tokens))
    if isinstance(verify := prompt.params.get("verify"), Mapping):
        cells = verify["top"] + verify["random"]
        share = cells / (shape.layers * shape.heads * tokens)
        found += cones(sizes, tokens, "z", range(tokens), share)
    return (two_traces(sizes, prompt.tokens) + found) * prompt.draws


@per_prompt(POSSIBLE_CORRUPTIONS)
def possible_corruptions(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace, which tells the likeliest label; making prompts costs next to nothing."""
    return traced(sizes, prompt.tokens, final=True)


def _formula(sizes: Cost, prompt: OnePrompt) -> Work:
    """A sweep of all cells, as if each could change the answer."""
    positions = prompt.params.get("positions", "all")
    if not isinstance(positions, list):
        positions = [prompt.tokens - 1] if positions == "final" else range(prompt.tokens)
    swept = cones(sizes, prompt.tokens, prompt.params.get("component", "z"), positions)
    rechecked = one_pass(sizes, prompt.tokens) * RECHECKED
    return (two_traces(sizes, prompt.tokens) + swept) * prompt.draws + rechecked


_over_bank = per_prompt(PATCHING)(_formula)


def work_of(instrument: Instrument, task: Task, progress: Progress) -> Work:
    """The sweep of the cells that can change the answer; they are known once the corrupted prompt is made.

    Of several questions all cells count, as if each could.
    """
    if task.request.question is None:
        return _over_bank.work(instrument, task, progress)
    chosen = plan(instrument, task, progress)
    return sweep_work(cost_of(instrument), chosen.sweeps(instrument, progress))


patching = CostModel(_formula, work_of)
