"""What turning one head costs."""

from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, one_pass, traced
from backend.analyses.subspace.cost import exchanged
from backend.analyses.turn.schema import RECHECKED, STRENGTHS, TURN, WAYS
from backend.engine.sweep import Cost


@per_prompt(TURN)
def turn(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces, a one-row cone for each way and strength, and whole passes that check a few."""
    cases = 2 + len(WAYS) * prompt.count("strengths", STRENGTHS)
    whole = one_pass(sizes, prompt.tokens) * RECHECKED
    return traced(sizes, prompt.tokens) * 2 + exchanged(sizes, prompt, cases) + whole
