"""What the checks of a model cost."""

from backend.analyses.attribution.cost import attribution
from backend.analyses.checks.schema import CHECK_MODEL, READINGS
from backend.analyses.checks.self_check import TEXT
from backend.analyses.cost.model import CostModel, OnePrompt, per_prompt
from backend.analyses.cost.work import Work, one_pass, projected
from backend.analyses.task import Task
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cost, cost_of
from backend.questions.encoding import encode

LABELS = 4
"""The self-check's text has none; its attributions are to as many tokens."""


@per_prompt(CHECK_MODEL)
def check_model(sizes: Cost, prompt: OnePrompt) -> Work:
    """A pass over the prompt, and a short one for each option's text."""
    return one_pass(sizes, prompt.tokens) + one_pass(sizes, 2) * prompt.labels


@per_prompt(READINGS)
def readings(sizes: Cost, prompt: OnePrompt) -> Work:
    """Attribution; the patching of the first few questions is not counted."""
    return attribution.formula(sizes, prompt)


def _self_check(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace, a plain pass, W_U copied and multiplied with once more, attribution and attention."""
    unembedding = sizes.shape.vocabulary * sizes.shape.d_model
    plain = one_pass(sizes, prompt.tokens) + Work(weights=3 * unembedding, held=sizes.itemsize * unembedding)
    return plain + attribution.formula(sizes, prompt) + projected(sizes, 1)


def _work(instrument: Instrument, task: Task, progress: Progress) -> Work:
    """The self-check brings its own text."""
    tokens = len(encode(instrument.tokenizer, TEXT, special=True).ids)
    return _self_check(cost_of(instrument), OnePrompt(tokens, LABELS))


self_check = CostModel(_self_check, _work)
