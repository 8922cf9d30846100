"""A norm as a linear map, its scale frozen at one vector."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class FrozenNorm:
    """A norm with its scale fixed: `out = gain * (x - mean(x) if centred) + bias`.

    Attributes:
        gain: `[d_model]`, the norm's weight times its scale (for RMSNorm 1 / rms) where it was frozen.
        centred: whether the mean over d_model is taken off first (LayerNorm).
        bias: `[d_model]`, or None.
    """

    gain: Tensor
    centred: bool
    bias: Tensor | None

    def applied(self, residual: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row d_model"]:
        """The norm of some vectors, with this scale."""
        out = self.linear(residual)
        return out if self.bias is None else out + self.bias

    def linear(self, rows: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row d_model"]:
        """The same without the bias."""
        centred = rows - rows.mean(dim=-1, keepdim=True) if self.centred else rows
        return centred * self.gain.to(rows)


@dataclass(frozen=True)
class Norm:
    """What a norm does: `out = weight * y / sqrt(mean(y ** 2) + epsilon) + bias`, `y = x - mean(x) if centred else x`.

    RMSNorm (Zhang & Sennrich 2019, eq. 4) or, centred, LayerNorm (Ba et al. 2016, eq. 4). `weight` and `bias` are
    `[d_model]`, or None.
    """

    epsilon: float
    weight: Tensor | None
    bias: Tensor | None = None
    centred: bool = False

    def frozen(self, at: Float[Tensor, " d_model"]) -> FrozenNorm:
        """The norm with its scale taken at one float32 vector."""
        inner = at - at.mean() if self.centred else at
        scale = torch.rsqrt(inner.pow(2).mean() + self.epsilon)
        weight = torch.ones_like(at) if self.weight is None else self.weight.to(at)
        return FrozenNorm(weight * scale, self.centred, None if self.bias is None else self.bias.to(at))
