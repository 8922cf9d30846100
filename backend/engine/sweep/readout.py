"""From the last row of each cell to the logits that were asked for."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.instrument import Instrument

VOCABULARY_CHUNK = 16384


@dataclass(frozen=True)
class Wanted:
    """What a sweep is to tell of each cell: the logits of some tokens, and whether more than those."""

    token_ids: tuple[int, ...]
    vocabulary: bool = False
    final: bool = False


@dataclass(frozen=True)
class Reading:
    """Logits of the tokens asked for and, where asked for, the log of the sum of exp over the whole vocabulary and
    the final residual stream; float32 on the CPU."""

    logits: Float[Tensor, "cell token"]
    logsumexp: Float[Tensor, " cell"] | None
    final: Float[Tensor, "cell d_model"] | None


def read(instrument: Instrument, final: Float[Tensor, "cell d_model"], wanted: Wanted) -> Reading:
    """Final norm and unembedding of the residual stream after the last layer."""
    normed = instrument.family.final_norm(instrument.model)(final)
    kept = final.float().cpu() if wanted.final else None
    return Reading(*unembedded(instrument, normed, wanted.token_ids, wanted.vocabulary), kept)


def unembedded(
    instrument: Instrument,
    normed: Float[Tensor, "cell d_model"],
    token_ids: tuple[int, ...],
    vocabulary: bool,
) -> tuple[Float[Tensor, "cell token"], Float[Tensor, " cell"] | None]:
    """Logits of some tokens and, where asked for, the log-sum-exp over all, from what the final norm gives."""

    def of(ids: Tensor) -> Float[Tensor, "cell token"]:
        return instrument.weights.unembed(normed, ids).float().cpu()

    logits = of(torch.tensor(token_ids))
    if not vocabulary:
        return logits, None
    total = torch.full((len(normed),), float("-inf"))
    for ids in torch.split(torch.arange(instrument.shape.vocabulary), VOCABULARY_CHUNK):
        total = torch.logaddexp(total, of(ids).logsumexp(-1))
    return logits, total


def of_run(logits: Float[Tensor, " vocabulary"], final: Float[Tensor, " d_model"], wanted: Wanted) -> Reading:
    """The same from one run's logits over the whole vocabulary and its final residual stream."""
    return Reading(
        logits[list(wanted.token_ids)][None],
        logits.logsumexp(-1)[None] if wanted.vocabulary else None,
        final[None] if wanted.final else None,
    )
