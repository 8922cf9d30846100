"""What the curves over sets of nodes cost."""

from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, cones, one_pass, traced
from backend.analyses.sufficiency.schema import SUFFICIENCY, USUAL_SIZES
from backend.engine.sweep import Cost


@per_prompt(SUFFICIENCY)
def sufficiency(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces and the rows of one half of the cases, since a question is either sorted or scored on.

    A row goes through all layers, which is taken to be twice the way of an average head's.
    """
    heads = sizes.shape.layers * sizes.shape.heads
    nodes, params = heads + sizes.shape.layers, prompt.params
    own = params.get("nodes")
    steps = 1 if own is not None else prompt.count("sizes", (*USUAL_SIZES, nodes))
    scored = 1 + steps * (3 + 2 * params.get("random", 20)) + nodes / 2
    rows = scored if own is not None else (scored + nodes / 2) / 2
    swept = cones(sizes, prompt.tokens, "z", [prompt.tokens - 1], 2 * rows / heads)
    return traced(sizes, prompt.tokens) * 2 + swept + one_pass(sizes, prompt.tokens)
