"""Words that parameters and axes of several analyses take, each with its title for people."""

DIRECTIONS = {"denoise": "Denoise", "noise": "Noise"}
"""Denoise: an activation of the clean run is put into the corrupted run. Noise: the reverse."""
POSITIONS = {"final": "Final token", "all": "All tokens"}
"""Which positions of a prompt are patched."""
NORMS = {"recomputed": "Recomputed", "frozen": "Frozen"}
"""The scale of the final norm: that of the changed residual stream, or still the clean run's."""
KEY_POSITIONS = {
    "label": "the label",
    "bracket": "the bracket after the label",
    "option": "the option's last token",
    "newline": "the newline after the option",
}
"""At which token of an option a head's key is read."""
QUESTIONS_USED = {"all": "All", "right": "Answered right"}
"""All questions, or those that the model answers right."""
STRONGEST = 100
"""By how many differences of means a key may be steered, either way."""
REPLACEMENTS = {
    "resample": "its output in the corrupted run",
    "mean": "its mean output over the questions",
    "mean_by_letter": "its mean output over questions with the same right letter",
}
"""What takes the place of a node's output. In the plain mean each right letter weighs the same."""
NODE_ORDERS = {"total": "Total effect", "direct": "Direct effect", "attribution": "Attribution"}
"""By whose size nodes are sorted: a mean over questions; attribution is that to the right letter, net of the others."""
