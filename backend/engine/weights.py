"""The weights that attribution multiplies with, as float32 matrices, dequantized on each use and not stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from backend.models.families import Family, FrozenNorm
from backend.models.placement import device_of, weights_there


class Weights:
    """One model's output projections and unembedding, on the model's own devices."""

    def __init__(self, model: PreTrainedModel, family: Family) -> None:
        self._model = model
        self._family = family
        self._shape = family.shape(model)
        self._unembedding_mean: Tensor | None = None

    def output(self, layer: int) -> Float[Tensor, "d_model head d_head"]:
        """W_O of one layer, split by head."""
        matrix = dense(self._projection(layer))
        return matrix.reshape(self._shape.d_model, self._shape.heads, self._shape.d_head)

    def written(
        self, layer: int, z: Float[Tensor, "head d_head"]
    ) -> tuple[Float[Tensor, "d_model head d_head"], Float[Tensor, " d_model"] | None]:
        """The linear map from each head's `z` at a position to its write to the residual stream: matrix and offset.

        It is W_O and its bias, times the family's multiplier. A norm after attention is included, its scale frozen at
        `z`.
        """
        module = self._family.layers(self._model)[layer]
        matrix, bias = self.output(layer), self.output_bias(layer)
        after = self._family.attention_norm(module)
        if after is not None:
            output = torch.einsum("mhd,hd->m", matrix, z.to(matrix))
            norm = self._family.frozen(after, output if bias is None else output + bias)
            matrix = norm.linear(matrix.movedim(0, -1)).movedim(-1, 0)
            bias = norm.bias if bias is None else norm.applied(bias)
        factor = self._family.multiplier(module)
        if factor != 1:
            matrix, bias = matrix * factor, None if bias is None else bias * factor
        return matrix, bias

    def output_bias(self, layer: int) -> Float[Tensor, " d_model"] | None:
        """The output projection's bias; None if it has none."""
        projection = self._projection(layer)
        with weights_there(projection):
            bias = getattr(projection, "bias", None)
            return None if bias is None else bias.float()

    @property
    def device(self) -> torch.device:
        """The unembedding's device."""
        return device_of(self._family.unembedding(self._model))

    def unembedding(self, token_ids: tuple[int, ...]) -> Float[Tensor, "label d_model"]:
        """The rows of W_U of some tokens."""
        with self._unembedding() as (matrix, _):
            return matrix[list(token_ids)].float()

    def unembedding_bias(self, token_ids: tuple[int, ...]) -> Float[Tensor, " label"] | None:
        """The unembedding's bias of some tokens minus its mean over the vocabulary; None if it has none."""
        with self._unembedding() as (_, offset):
            if offset is None:
                return None
            exact = offset.detach().cpu().double()  # on the processor: not every accelerator has float64
        return (exact[list(token_ids)] - exact.mean()).float()

    def unembedding_mean(self) -> Float[Tensor, " d_model"]:
        """The mean of W_U over the vocabulary, computed once (one row)."""
        if self._unembedding_mean is None:
            with torch.no_grad(), self._unembedding() as (matrix, _):
                self._unembedding_mean = matrix.mean(dim=0, dtype=torch.float32)
        return self._unembedding_mean

    def label_directions(
        self, token_ids: tuple[int, ...], norm: FrozenNorm
    ) -> Float[Tensor, "label d_model"]:
        """Directions whose dot product with a write is what the write adds to each label's centred logit.

        They are W_U[label] minus its mean over the vocabulary, through the frozen final norm.
        """
        directions = (self.unembedding(token_ids) - self.unembedding_mean()) * norm.gain
        if norm.centred:
            directions = directions - directions.mean(dim=-1, keepdim=True)
        return directions

    def unembed(
        self, normed: Float[Tensor, "row d_model"], token_ids: Int[Tensor, " token"] | slice
    ) -> Float[Tensor, "row token"]:
        """The model's logits of some tokens, from outputs of the final norm; in the model's dtype.

        A slice of the vocabulary is not copied before it is multiplied with.
        """
        with self._unembedding() as (matrix, offset):
            at = token_ids if isinstance(token_ids, slice) else token_ids.to(matrix.device)
            rows = matrix[at]
            bias = None if offset is None else offset[at]
        logits = torch.nn.functional.linear(normed.to(rows), rows, bias)
        divisor = self._family.logit_divisor(self._model.config)
        if divisor != 1:
            logits = logits / divisor
        cap = self._family.logit_cap(self._model.config)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    @property
    def logits_are_unembedded(self) -> bool:
        """Whether the output of the unembedding is the logits, without a soft cap or scaling after it."""
        config = self._model.config
        return self._family.logit_cap(config) is None and self._family.logit_divisor(config) == 1

    @contextmanager
    def _unembedding(
        self,
    ) -> Iterator[tuple[Float[Tensor, "vocabulary d_model"], Float[Tensor, " vocabulary"] | None]]:
        """W_U and its bias (None if it has none), in the model's dtype and on their device."""
        module = self._family.unembedding(self._model)
        with weights_there(module):
            yield module.get_parameter("weight"), getattr(module, "bias", None)

    def _projection(self, layer: int) -> nn.Module:
        return self._family.output(self._family.attention(self._family.layers(self._model)[layer]))


def dense(module: nn.Module) -> Float[Tensor, "out features"]:
    """A linear layer's matrix in float32, dequantized if bitsandbytes stores it in 8 or 4 bits."""
    with weights_there(module):
        return _dense(module)


def _dense(module: nn.Module) -> Float[Tensor, "out features"]:
    weight: Any = module.weight
    kind = type(weight).__name__
    if kind == "Int8Params":
        from bitsandbytes.functional import int8_vectorwise_dequant

        state: Any = module.state
        codes = weight.CB if weight.CB is not None else state.CB
        scales = weight.SCB if weight.SCB is not None else state.SCB
        matrix: Tensor = int8_vectorwise_dequant(codes if codes is not None else weight.data, scales)
    elif kind == "Params4bit":
        from bitsandbytes.functional import dequantize_4bit

        matrix = dequantize_4bit(weight.data, weight.quant_state)
    else:
        # GPT-2's projections store their matrix transposed.
        matrix = weight.detach().T if isinstance(module, Conv1D) else weight.detach()
    return matrix.float()
