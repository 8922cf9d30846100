"""Runs in which heads' outputs at the final position are replaced, and what the model then answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from backend.analyses.subspace.head_inputs import HeadInputs
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, Node, OwnValues, Sweep, Wanted, recheck, run_sweep


@dataclass(frozen=True)
class Outcome:
    """What the model answers to one question in some cases.

    Attributes:
        loss: cross-entropy of the right label's token, in nats.
        right: 1 where the right label has the highest logit of the labels, else 0.
        logits: the labels' logits.
        oracle_error: the largest difference to whole forward passes, over the cases that were checked, in logits.
    """

    loss: Float[Tensor, " case"]
    right: Float[Tensor, " case"]
    logits: Float[Tensor, "case label"]
    oracle_error: float


def run_replaced(
    instrument: Instrument,
    inputs: HeadInputs,
    z: Mapping[HeadRef, Float[Tensor, "case d_head"]],
    progress: Progress,
    rechecked: int = 0,
) -> Outcome:
    """Run the question once for each case, with the final outputs `z` of these heads replaced together.

    `rechecked` cases are run again as whole forward passes.
    """
    ids = inputs.prompt.token_ids
    nodes: dict[HeadRef, Node] = {head: ("z", Cell(head.layer, len(ids) - 1, head.head)) for head in z}
    source = OwnValues(
        {(number, nodes[head]): value for head, values in z.items() for number, value in enumerate(values)}
    )
    cases = len(next(iter(z.values())))
    sets, wanted = [[*nodes.values()]] * cases, Wanted(inputs.prompt.answer_ids, vocabulary=True)
    sweep = Sweep(ids, source, sets, wanted)
    swept = run_sweep(instrument, sweep, progress=progress)
    assert swept.logsumexp is not None  # asked for
    error = recheck(instrument, sweep, swept, count=rechecked, progress=progress)
    return Outcome(
        loss=swept.logsumexp - swept.logits[:, inputs.right],
        right=(swept.logits.argmax(1) == inputs.right).float(),
        logits=swept.logits,
        oracle_error=error,
    )
