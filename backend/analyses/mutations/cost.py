"""What the analyses of mutated prompts cost."""

from backend.analyses.cost.model import OnePrompt, per_prompt
from backend.analyses.cost.work import Work, traced
from backend.analyses.mutations.mutations import CONDITIONS
from backend.analyses.mutations.schema import KEY_STEERING, MUTATIONS_ANALYSIS, STRENGTHS, SWAP_TEST
from backend.analyses.subspace.cost import exchanged
from backend.engine.sweep import Cost
from backend.questions.mutations import MUTATIONS


@per_prompt(MUTATIONS_ANALYSIS)
def mutations(sizes: Cost, prompt: OnePrompt) -> Work:
    """For each mutation two traces and a one-row cone for each condition and each mutation fitted under."""
    kinds = len(MUTATIONS)
    return (traced(sizes, prompt.tokens) * 2 + exchanged(sizes, prompt, len(CONDITIONS) + kinds)) * kinds


@per_prompt(SWAP_TEST)
def swap_test(sizes: Cost, prompt: OnePrompt) -> Work:
    """A trace with the usual labels, and two with shuffled ones."""
    return traced(sizes, prompt.tokens) * 3


@per_prompt(KEY_STEERING)
def key_steering(sizes: Cost, prompt: OnePrompt) -> Work:
    """Two traces, and a one-row cone for each option, strength and kind of direction."""
    cases = 1 + prompt.labels * (1 + 2 * prompt.count("strengths", STRENGTHS))
    return traced(sizes, prompt.tokens) * 2 + exchanged(sizes, prompt, cases)
