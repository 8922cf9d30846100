"""What a prediction costs."""

from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, traced
from backend.analyses.prediction.schema import PREDICTION
from backend.engine.sweep import Cost


@per_prompt(PREDICTION)
def prediction(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace."""
    return traced(sizes, prompt.tokens, final=True)
