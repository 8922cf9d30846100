"""What replacing several heads together costs."""

from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, cones, one_pass, two_traces
from backend.analyses.joint.schema import JOINT, RECHECKED
from backend.engine.sweep import Cost


@per_prompt(JOINT)
def joint(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces, a row of the final position for each set of heads, and whole passes that check a few.

    A set's row begins at its lowest head: it is taken to cost twice what the row of an average head does.
    """
    heads, params = sizes.shape.layers * sizes.shape.heads, prompt.params
    sets = 1 + params.get("random", 0) + (len(params["heads"]) if params.get("alone") else 0)
    rows = cones(sizes, prompt.tokens, "z", [prompt.tokens - 1], 2 * sets / heads)
    return two_traces(sizes, prompt.tokens) + rows + one_pass(sizes, prompt.tokens) * RECHECKED
