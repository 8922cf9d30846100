"""What nodes are sorted by: one number for each question and node."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attribution.attribution import attribute, net_effect
from backend.analyses.sufficiency.bank import Used
from backend.analyses.sufficiency.sets import ablated, score
from backend.contract.progress import Progress, give_way
from backend.engine.instrument import Instrument
from backend.engine.writes import write_changes

Effects = Float[Tensor, "question node"]


def total_effects(instrument: Instrument, used: Sequence[Used], progress: Progress) -> Effects:
    """m(clean) - m(the node's output replaced, all later nodes live)."""
    shape = instrument.shape
    nodes = shape.layers * (shape.heads + 1)
    found = score(instrument, used, [ablated([node]) for node in range(nodes)], progress).values
    return _clean(instrument, used)[:, None] - found


def direct_effects(instrument: Instrument, used: Sequence[Used], progress: Progress) -> Effects:
    """The same where only the node's own write to the final residual stream changes; the norm is computed again."""
    found = []
    for done, one in enumerate(used):
        progress("Direct effects", done, len(used))
        give_way()
        changes = write_changes(instrument, one.run.clean, one.run.other)
        found.append(one.values(instrument, one.run.base.resid_final[-1] + changes))
    return _clean(instrument, used)[:, None] - torch.stack(found)


def attributions(instrument: Instrument, used: Sequence[Used], progress: Progress) -> Effects:
    """What the node writes for the right letter, net of the others, in logits."""
    found = []
    for done, one in enumerate(used):
        progress("Attributions", done, len(used))
        give_way()
        every = attribute(instrument, one.run.base, one.answer_ids)
        found.append(net_effect(torch.cat([every.heads.flatten(0, 1), every.mlps]), one.right).double())
    return torch.stack(found)


EFFECTS_BY: dict[str, Callable[[Instrument, Sequence[Used], Progress], Effects]] = {
    "total": total_effects,
    "direct": direct_effects,
    "attribution": attributions,
}


def _clean(instrument: Instrument, used: Sequence[Used]) -> Float[Tensor, " question"]:
    return torch.cat([one.values(instrument, one.run.base.resid_final[-1:]) for one in used])
