"""What an attribution costs."""

from backend.analyses.attribution.schema import ATTRIBUTION
from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, projected, traced
from backend.engine.sweep import Cost


@per_prompt(ATTRIBUTION)
def attribution(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace, and each label's direction through each output projection.

    The mean of W_U goes down its columns, which takes as long as reading it four times; one of many has it already.
    """
    shape = sizes.shape
    mean = 0 if prompt.several else 4 * shape.vocabulary * shape.d_model
    return traced(sizes, prompt.tokens, final=True) + projected(sizes, prompt.labels) + Work(weights=mean)
