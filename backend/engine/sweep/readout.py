"""From the last row of each cell to the logits that were asked for."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.instrument import Instrument

VOCABULARY_CHUNK = 16384


@dataclass(frozen=True)
class Reading:
    """Logits of the tokens asked for and, where asked for, the log of the sum of exp over the whole vocabulary."""

    logits: Float[Tensor, "cell token"]
    logsumexp: Float[Tensor, " cell"] | None


def read(
    instrument: Instrument, final: Float[Tensor, "cell d_model"], token_ids: tuple[int, ...], vocabulary: bool
) -> Reading:
    """Final norm and unembedding of the residual stream after the last layer; float32 on the CPU."""
    normed = instrument.family.final_norm(instrument.model)(final)
    logits = _unembed(instrument, normed, torch.tensor(token_ids))
    if not vocabulary:
        return Reading(logits, None)
    total = torch.full((len(final),), float("-inf"))
    for ids in torch.split(torch.arange(instrument.shape.vocabulary), VOCABULARY_CHUNK):
        total = torch.logaddexp(total, _unembed(instrument, normed, ids).logsumexp(-1))
    return Reading(logits, total)


def of_logits(logits: Float[Tensor, " vocabulary"], token_ids: tuple[int, ...], vocabulary: bool) -> Reading:
    """The same from one run's logits over the whole vocabulary."""
    return Reading(logits[list(token_ids)][None], logits.logsumexp(-1)[None] if vocabulary else None)


def _unembed(instrument: Instrument, normed: Tensor, ids: Tensor) -> Float[Tensor, "cell token"]:
    head = instrument.family.unembedding(instrument.model)
    weight = head.get_parameter("weight")
    rows = weight[ids.to(weight.device)]
    bias = getattr(head, "bias", None)
    logits: Tensor = torch.nn.functional.linear(
        normed.to(rows), rows, None if bias is None else bias[ids.to(bias.device)]
    )
    return logits.float().cpu()
