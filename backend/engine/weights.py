"""The weights that attribution multiplies with, as plain float32 matrices, dequantized when used and not kept."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.models.families import Family, FrozenNorm


class Weights:
    """Read access to one model's output projections and unembedding, on the model's own devices."""

    def __init__(self, model: PreTrainedModel, family: Family) -> None:
        self._model = model
        self._family = family
        self._shape = family.shape(model)
        self._unembedding_mean: Tensor | None = None

    def output(self, layer: int) -> Float[Tensor, "d_model head d_head"]:
        """W_O of one layer, split by head."""
        matrix = dense(self._projection(layer))
        return matrix.view(self._shape.d_model, self._shape.heads, self._shape.d_head)

    def output_bias(self, layer: int) -> Float[Tensor, " d_model"] | None:
        """The output projection's bias, if it has one."""
        bias = getattr(self._projection(layer), "bias", None)
        return None if bias is None else bias.float()

    def unembedding(self, token_ids: tuple[int, ...]) -> Float[Tensor, "label d_model"]:
        """The rows of W_U of some tokens."""
        matrix: Tensor = self._family.unembedding(self._model).weight
        return matrix[list(token_ids)].float()

    def unembedding_bias(self, token_ids: tuple[int, ...]) -> Float[Tensor, " label"] | None:
        """The unembedding's bias of some tokens, less its mean over the vocabulary, if it has one."""
        bias = getattr(self._family.unembedding(self._model), "bias", None)
        return None if bias is None else bias[list(token_ids)].float() - bias.float().mean()

    def unembedding_mean(self) -> Float[Tensor, " d_model"]:
        """The mean of W_U over the vocabulary; read once, then kept (a row)."""
        if self._unembedding_mean is None:
            matrix: Tensor = self._family.unembedding(self._model).weight
            with torch.no_grad():
                self._unembedding_mean = matrix.mean(dim=0, dtype=torch.float32)
        return self._unembedding_mean

    def label_directions(
        self, token_ids: tuple[int, ...], norm: FrozenNorm
    ) -> Float[Tensor, "label d_model"]:
        """Directions whose dot product with a write is what it adds to each label's centred logit.

        W_U[label] less its mean over the vocabulary, through the frozen final norm.
        """
        directions = (self.unembedding(token_ids) - self.unembedding_mean()) * norm.gain
        if norm.centred:
            directions = directions - directions.mean(dim=-1, keepdim=True)
        return directions

    def _projection(self, layer: int) -> nn.Module:
        return self._family.output(self._family.attention(self._family.layers(self._model)[layer]))


def dense(module: nn.Module) -> Float[Tensor, "out features"]:
    """A linear layer's matrix in float32, dequantized where bitsandbytes holds it in 8 or 4 bits."""
    weight = module.weight
    kind = type(weight).__name__
    if kind == "Int8Params":
        from bitsandbytes.functional import int8_vectorwise_dequant

        state = module.state
        codes = weight.CB if weight.CB is not None else state.CB
        scales = weight.SCB if weight.SCB is not None else state.SCB
        return int8_vectorwise_dequant(codes if codes is not None else weight.data, scales).float()
    if kind == "Params4bit":
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(weight.data, weight.quant_state).float()
    return weight.detach().float()
