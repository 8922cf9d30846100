"""From the residual stream after the last layer to the logits that a sweep was asked for."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_normalizer

VOCABULARY_CHUNK = 16384


@dataclass(frozen=True)
class Wanted:
    """What to read out after each experiment, at the final position.

    Attributes:
        token_ids: the tokens whose logits are read out.
        vocabulary: whether also the log-sum-exp of the logits of the whole vocabulary.
        final: whether also the residual stream after the last layer.
    """

    token_ids: tuple[int, ...]
    vocabulary: bool = False
    final: bool = False


@dataclass(frozen=True)
class Readout:
    """What `Wanted` asks for, of some experiments; float32 on the CPU, `logsumexp` float64. None for what it does not
    ask for."""

    logits: Float[Tensor, "experiment token"]
    logsumexp: Float[Tensor, " experiment"] | None
    final: Float[Tensor, "experiment d_model"] | None


def readout_of_rows(
    instrument: Instrument, final: Float[Tensor, "experiment d_model"], wanted: Wanted
) -> Readout:
    """The readout from residual streams after the last layer: the final norm, then the unembedding."""
    normed = instrument.family.final_norm(instrument.model)(final)
    asked = final.float().cpu() if wanted.final else None
    return Readout(*unembedded(instrument, normed, wanted.token_ids, wanted.vocabulary), asked)


def readout_of_run(
    logits: Float[Tensor, " vocabulary"], final: Float[Tensor, " d_model"], wanted: Wanted
) -> Readout:
    """The readout from one run: its logits over the whole vocabulary and its final residual stream."""
    return Readout(
        logits[list(wanted.token_ids)][None],
        log_normalizer(logits)[None] if wanted.vocabulary else None,
        final[None] if wanted.final else None,
    )


def unembedded(
    instrument: Instrument,
    normed: Float[Tensor, "experiment d_model"],
    token_ids: tuple[int, ...],
    vocabulary: bool,
) -> tuple[Float[Tensor, "experiment token"], Float[Tensor, " experiment"] | None]:
    """Logits of some tokens and, with `vocabulary`, the log-sum-exp over all in float64; on the CPU.

    Args:
        normed: the output of the final norm.
    """

    def of(ids: Tensor) -> Float[Tensor, "experiment token"]:
        return instrument.weights.unembed(normed, ids).float().cpu()

    logits = of(torch.tensor(token_ids))
    if not vocabulary:
        return logits, None
    total = torch.full((len(normed),), float("-inf"), dtype=torch.float64)
    for ids in torch.split(torch.arange(instrument.shape.vocabulary), VOCABULARY_CHUNK):
        total = torch.logaddexp(total, log_normalizer(of(ids)))
    return logits, total
