"""What a head seems to do over a bank, in plain sentences, from its figures alone."""

from math import isnan

from app.figures.atlas import figures_of
from backend.contract.head import HeadRef
from backend.contract.result import Result
from backend.results.head_classes import Verdicts
from backend.results.head_figures import KINDS

SMALL = 0.02
"""What is less, in logits, is called next to nothing (ours)."""
ELSEWHERE = {
    "induction": "to the token after an earlier copy, on random tokens",
    "previous_token": "to the token before, on plain text",
    "first_token": "to the first token, on plain text",
    "markers": "to the markers of a list",
}


def head_told(result: Result, head: HeadRef, verdicts: Verdicts) -> str:
    """Its classes, where it looks, what it writes, and its effects, over all questions."""
    place = (head.layer, head.head)
    mean = {name: one.value for name, one in figures_of(result, "all").items()}
    classes = verdicts.named(*place)
    begins = f"{head}, over {result.scalars['count']} questions, " + (
        f"has the class {' and '.join(classes)}{_letters(result, verdicts, place)}"
        if classes
        else "has no class"
    )
    roles = result["roles"][:, *place]
    most = int(roles.argmax())
    looks = (
        f"it looks most at: {KINDS[most]} ({roles[most]:.0%} of its attention), and gives "
        f"{mean['label_mass'][place]:.0%} to labels, {mean['right_share'][place]:.0%} of that to the right one"
    )
    effects = _effects(float(mean["total"][place]), float(mean["direct"][place]))
    return f"{begins}: {looks}. {_writes(float(mean['net'][place]))} {effects}"


def _letters(result: Result, verdicts: Verdicts, place: tuple[int, int]) -> str:
    holds = verdicts.single[:, *place] | verdicts.fixed[:, *place]
    letters = [label for label, one in zip(result.ticks["label"], holds, strict=True) if one]
    return f" ({', '.join(letters)})" if letters else ""


def _writes(net: float) -> str:
    """
    >>> _writes(0.5), _writes(-0.3)
    ('It writes 0.50 logits for the right letter.', 'It writes 0.30 logits against the right letter.')
    """
    if abs(net) < SMALL:
        return "It writes next to nothing for or against the right letter."
    return f"It writes {abs(net):.2f} logits {'for' if net > 0 else 'against'} the right letter."


def _effects(total: float, direct: float) -> str:
    """
    >>> _effects(0.53, 0.02)
    'Its total effect is +0.53 logits, the direct one +0.02.'
    """
    if isnan(total):
        return "Its effects are not known."
    return f"Its total effect is {total:+.2f} logits, the direct one {direct:+.2f}."


def elsewhere_told(result: Result, head: HeadRef) -> str:
    """Where it looks in texts outside the task."""
    place = (head.layer, head.head)
    known = {name: float(result[name][place]) for name in ELSEWHERE}
    parts = [f"{value:.0%} {ELSEWHERE[name]}" for name, value in known.items() if not isnan(value)]
    even = result.scalars["markers_even"]
    spread = f" ({even:.0%} if attention were spread evenly)" if even is not None else ""
    return f"Outside the task, of its attention: {'; '.join(parts)}{spread}." if parts else ""
