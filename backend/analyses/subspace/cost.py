"""What a subspace and its compression cost."""

from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, cones, traced
from backend.analyses.subspace.compression import usual_ranks
from backend.analyses.subspace.compression_arrays import DRAWS
from backend.analyses.subspace.projections import PARTS
from backend.analyses.subspace.schema import COMPRESSION, SUBSPACE
from backend.engine.sweep import Cost


@per_prompt(SUBSPACE)
def subspace(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace."""
    return traced(sizes, prompt.tokens)


@per_prompt(COMPRESSION)
def compression(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces, the rotation of a few positions, and a one-row cone for each rank and projection."""
    ranks = prompt.count("ranks", usual_ranks(sizes.shape.d_head))
    cases = 3 + ranks * (len(PARTS) + DRAWS)
    return traced(sizes, prompt.tokens) * 2 + exchanged(sizes, prompt, cases)


def exchanged(sizes: Cost, prompt: OnePrompt, cases: int) -> Work:
    """One-row cones of one head; of several those of each alone, and of all twice: for what they read, and run."""
    shape, heads = sizes.shape, prompt.count("heads", (0,))
    times = heads + 2 if heads > 1 else 1
    return cones(sizes, prompt.tokens, "z", [prompt.tokens - 1], cases * times / (shape.layers * shape.heads))
