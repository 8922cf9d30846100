"""The cost of `effects` and `paths`: passes, traces, cones and projections of one prompt."""

from backend.analyses.circuit.effects import RECHECKED
from backend.analyses.circuit.schema import EFFECTS, PATHS
from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, cones, one_pass, projected, two_traces
from backend.engine.sweep import Cost


@per_prompt(EFFECTS)
def effects(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces, the cones of every head and MLP at the final position, re-checks, and what each head writes."""
    final, shape = [prompt.tokens - 1], sizes.shape
    swept = cones(sizes, prompt.tokens, "z", final) + cones(sizes, prompt.tokens, "mlp_out", final)
    rechecked = one_pass(sizes, prompt.tokens) * RECHECKED
    return (
        two_traces(sizes, prompt.tokens) + swept + rechecked + projected(sizes, shape.heads + 1)
    ) * prompt.draws


@per_prompt(PATHS)
def paths(sizes: Cost, prompt: OnePrompt) -> Work:
    """Paths into the last layer, which take longest.

    Two traces, what every head writes at every position, these writes projected by the queries, keys and
    values of a layer, and one cone for each of them and each input.
    """
    shape, tokens = sizes.shape, prompt.tokens
    senders = shape.layers * (shape.heads + 1)
    projection = shape.d_model * (shape.heads + 2 * shape.kv_heads) * shape.d_head
    written = projected(sizes, tokens * (shape.heads + 1))
    projected_through = Work(
        products=senders * tokens * projection, weights=senders * projection / 32, held=senders * tokens * 4
    )
    size = 4 * senders * tokens * shape.d_model
    inputs = projected_through + Work(moved=6 * size, held=2 * size)
    swept = cones(sizes, tokens, "z", [tokens - 1], 3)
    return (two_traces(sizes, tokens) + written + inputs + swept) * prompt.draws
