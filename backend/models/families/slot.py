"""Where a module's output holds a kind of activation, so that it can be read there and written there."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Slot:
    """A kind of activation in the output (for `z` the input) of `module`, for a batch of one.

    The output's values are taken in blocks of `size`, `total` of them a position; `blocks` are those that belong to
    the activation, one a head (one in all where it has no heads). A fused projection has more blocks than heads.

    Attributes:
        heads_first: whether the output is `[1, head, position, d_head]`, not `[..., position, head x d_head]`.
        factor: what the model multiplies the output with; the activation is the product.
        limit: what the model clamps the output to, on either side of 0.
    """

    module: nn.Module
    size: int
    total: int
    blocks: Sequence[int]
    heads_first: bool = False
    factor: float = 1.0
    limit: float | None = None

    def read(self, output: Tensor) -> Float[Tensor, "position head size"]:
        """The activation."""
        value = self._by_block(output)
        if len(self.blocks) != self.total:
            value = value[:, list(self.blocks)]
        if self.limit is not None:
            value = value.clamp(-self.limit, self.limit)
        return value if self.factor == 1 else value * self.factor

    def gradient(self, whole: Tensor) -> Float[Tensor, "position head size"]:
        """The derivative by the activation, from that by the module's output."""
        # A model clamps the tensor itself, in place: autograd's gradient by it is the one after the clamp.
        return self._by_block(whole)[:, list(self.blocks)] / self.factor

    def write(
        self,
        output: Tensor,
        positions: Int[Tensor, " value"],
        heads: Int[Tensor, " value"],
        values: Float[Tensor, "value size"],
    ) -> None:
        """Exchange the activation at some positions and heads, in `output` itself."""
        blocks = heads.new_tensor(self.blocks)[heads]
        value = values if self.factor == 1 else values / self.factor
        device = output.device
        self._by_block(output)[positions.to(device), blocks.to(device)] = value.to(output)

    def _by_block(self, output: Tensor) -> Float[Tensor, "position block size"]:
        """A view."""
        return output[0].transpose(0, 1) if self.heads_first else output.view(-1, self.total, self.size)


def whole(module: nn.Module, count: int, size: int, factor: float = 1.0) -> Slot:
    """All of a module's output: `count` heads of `size`, one after the other."""
    return Slot(module, size, count, range(count), factor=factor)
