"""Log-probabilities over the whole vocabulary, the one formula for every loss.

A float32 `torch.log_softmax` adds 150,000 terms one after the other: beside a large one, small ones are rounded away.
For a logit of 17 among zeros it is 1e-4 nats off. Here sums are of short pieces, and the pieces are added in float64.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

PIECE = 1024
"""Terms that are added in the logits' own precision; torch adds so few in several partial sums."""


def log_normalizer(logits: Float[Tensor, "*row token"]) -> Float64[Tensor, "*row"]:
    """The log of the sum of exp(logit) over the last axis, in float64; `logits - log_normalizer` are in nats.

    Exponentials are taken in the logits' own precision, so that many rows cost no more than `torch.logsumexp`.
    """
    top = logits.detach().amax(-1)
    top = torch.where(top.isinf(), 0, top)  # rows of -inf have a sum of 0, not of NaN
    sums = [(piece - top[..., None]).exp().sum(-1).double() for piece in torch.split(logits, PIECE, dim=-1)]
    return torch.stack(sums).sum(0).log() + top.double()


def log_probabilities(logits: Float[Tensor, "*row token"]) -> Float64[Tensor, "*row token"]:
    """The log-probability of every token, in nats: float64 throughout, for one row or a few."""
    exact = logits.double()
    return exact - log_normalizer(exact)[..., None]
