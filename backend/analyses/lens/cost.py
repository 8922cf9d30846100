"""What the logit lens and a patched one cost."""

from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, cones, one_pass, traced, two_traces
from backend.analyses.lens.reading import ROWS
from backend.analyses.lens.schema import LENS, PATCHED_LENS
from backend.engine.instrument import kept_whole
from backend.engine.sweep import RESIDUAL, Cost


@per_prompt(LENS)
def lens(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace; for a prompt whose trace is not kept, one of its final position and a pass that is read on its way."""
    positions = prompt.params.get("positions", "all")
    count = len(positions) if isinstance(positions, list) else 1 if positions == "final" else prompt.tokens
    found = traced(sizes, prompt.tokens, final=True) + _read(sizes, count, prompt.labels)
    if prompt.params.get("corruption"):
        found += traced(sizes, prompt.tokens)  # the question's own, where it tells which label to take away
    if not kept_whole(sizes.shape, prompt.tokens):
        found += one_pass(sizes, prompt.tokens)
    return found + _read(sizes, count, sizes.shape.vocabulary) if prompt.params.get("top") else found


@per_prompt(PATCHED_LENS)
def patched_lens(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces, four lenses and, with patches, a cone and a pass for each patched run.

    A cone begins at the first token that is replaced; it is taken to begin in the middle of the prompt.
    """
    patches = prompt.params.get("patches") or []
    found = two_traces(sizes, prompt.tokens) + _read(sizes, prompt.tokens, prompt.labels) * 4
    for _ in {patch["from"] for patch in patches}:
        found += cones(sizes, prompt.tokens, RESIDUAL, [prompt.tokens // 2], 1 / sizes.shape.layers)
        if prompt.params.get("check", True):
            found += one_pass(sizes, prompt.tokens)
    return found


def _read(sizes: Cost, positions: int, tokens: int) -> Work:
    """The logits of so many tokens at so many positions of every depth."""
    shape = sizes.shape
    depths, matrix = shape.layers + 1, tokens * shape.d_model
    return Work(
        products=depths * positions * matrix,
        weights=depths * -(-positions // ROWS) * matrix,
        held=4 * depths * positions * shape.d_model,
    )
