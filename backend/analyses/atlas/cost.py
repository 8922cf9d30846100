"""What the head atlas costs."""

from backend.analyses.atlas.schema import HEADS
from backend.analyses.circuit.cost import effects
from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, projected, traced
from backend.engine.sweep import Cost


@per_prompt(HEADS)
def heads(sizes: Cost, prompt: OnePrompt) -> Work:
    """The effects, whose clean trace serves all else, and each head's values through its output projection."""
    shape = sizes.shape
    lengths = 2 * shape.layers * shape.heads * prompt.tokens * shape.d_model
    read = projected(sizes, prompt.tokens) + Work(weights=lengths)
    whole = (
        effects.formula(sizes, prompt) if prompt.params.get("effects", True) else traced(sizes, prompt.tokens)
    )
    return whole + read
