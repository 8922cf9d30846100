"""What attention costs."""

from backend.analyses.attention.schema import ATTENTION
from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, projected, traced
from backend.engine.sweep import Cost


@per_prompt(ATTENTION)
def attention(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace; for one question also each head's values through its output projection, for their lengths."""
    shape = sizes.shape
    found = traced(sizes, prompt.tokens, final=prompt.params.get("head") is None)
    if prompt.several:
        return found
    lengths = 2 * shape.layers * shape.heads * prompt.tokens * shape.d_model
    return found + projected(sizes, prompt.tokens) + Work(weights=lengths)
