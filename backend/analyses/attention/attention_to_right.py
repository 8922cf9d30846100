"""How much one head looks, from the final position, at the right option's label: by its place, and by its letter."""

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attention.attention import mass_on
from backend.analyses.over_questions import answered
from backend.contract.head import HeadRef
from backend.engine.pattern import final_rows
from backend.engine.trace import Trace
from backend.questions.prompt import Prompt

FOLLOWED = ("right_share", "letter_share", "right_top")


def to_right(
    trace: Trace, head: HeadRef, prompt: Prompt, usual: tuple[str, ...]
) -> Float[Tensor, " followed"]:
    """In the order of `FOLLOWED`.

    Of the attention to all labels the share of the right one, where it stands; the share of the letter that usually
    stands at this place (`usual` are the labels in their usual order; NaN where it is not among the prompt's); and
    whether no other token gets more attention than the right label.
    """
    right = answered(prompt)
    row = final_rows(trace, head.layer)[head.head]
    by_label = mass_on(row, prompt.roles, [f"label {place}" for place in range(len(prompt.labels))])
    shares = by_label / by_label.sum().clamp_min(1e-12)
    letter = usual[right]
    by_letter = shares[prompt.labels.index(letter)] if letter in prompt.labels else torch.tensor(float("nan"))
    top = int(row.argmax()) in prompt.positions(f"label {right}")
    return torch.stack([shares[right], by_letter, torch.tensor(float(top))])
