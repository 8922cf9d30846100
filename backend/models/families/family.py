"""What the engine needs to know of an architecture: where its parts are, and what happens between them.

A family names modules of the unmodified transformers model and declares facts; it computes nothing that the model
computes itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.contract.errors import ModelError
from backend.models.families.norm import FrozenNorm, Norm
from backend.models.families.slot import Slot, whole
from backend.models.placement import weights_there


@dataclass(frozen=True)
class Shape:
    """A model's sizes. Grouped-query models have fewer `kv_heads` than `heads`.

    `parallel` says that attention and MLP of a layer read the same residual stream: there is none between them.
    """

    model_type: str
    layers: int
    heads: int
    kv_heads: int
    d_model: int
    d_head: int
    vocabulary: int
    max_positions: int
    parallel: bool


class Family:
    """One kind of architecture; stateless. The defaults are Llama's; a family says what is different.

    Attributes:
        model_types: the `model_type`s of the configs that it serves.
        layers_at, final_norm_at: where the layers and the norm before the unembedding are in the model.
        attention_at, mlp_at: where attention (the module that the attention function is called with) and MLP are in
            a layer; the MLP may be given by its last module.
        mid_at: where in a layer is the module whose input is the residual stream between attention and MLP.
        attention_norm_at, mlp_norm_at: where in a layer are norms that come after attention and after the MLP,
            before what they write is added to the residual stream.
        query_at, key_at, value_at: the modules in attention that give queries and keys before the rotary embedding,
            and values.
        query_norm_at, key_norm_at: where in attention are norms of these queries and keys, given `[1, head, position,
            d_head]`; some of the family's models may have none.
        output_at: the output projection in attention; its input is `z`.
        experts_at, shared_expert_at: where in an MLP that is a mixture are its routed experts, one module called with
            (rows, the experts chosen for each, their weights), and an expert that every row goes through.
        attention_interface: whether attention calls the function that transformers looks up by name; otherwise it
            calls torch's `scaled_dot_product_attention`, or a method of its own:
        attention_method: that method's name. It takes (query, key, value, mask) and returns `[batch, head, position,
            d_head]` and the pattern.
        layer_by_layer: whether a layer can be called alone, on rows of many runs at once. The self-check decides it for
            a model that was found by structure.
        listed: whether it is known here; otherwise it was found by structure.
    """

    model_types: tuple[str, ...] = ()
    layers_at: str = "model.layers"
    final_norm_at: str = "model.norm"
    attention_at: str = "self_attn"
    mlp_at: str = "mlp"
    mid_at: str = "post_attention_layernorm"
    attention_norm_at: str | None = None
    mlp_norm_at: str | None = None
    query_at: str = "q_proj"
    key_at: str = "k_proj"
    value_at: str = "v_proj"
    query_norm_at: str | None = None
    key_norm_at: str | None = None
    output_at: str = "o_proj"
    experts_at: str | None = None
    shared_expert_at: str | None = None
    attention_interface: bool = True
    attention_method: str | None = None
    layer_by_layer: bool = True
    listed: bool = True

    def check(self, config: Any) -> None:
        """Raise ModelError where a config of this family asks for what is not served (see `refused`)."""

    def shape(self, model: PreTrainedModel) -> Shape:
        """The model's sizes."""
        return self.shape_by(model.config)

    def shape_by(self, config: Any) -> Shape:
        """The sizes of the model of a config."""
        return Shape(
            model_type=config.model_type,
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            kv_heads=self.kv_heads(config),
            d_model=config.hidden_size,
            d_head=self.d_head(config),
            vocabulary=config.vocab_size,
            max_positions=config.max_position_embeddings,
            parallel=self.parallel(config),
        )

    def kv_heads(self, config: Any) -> int:
        """How many heads keys and values have."""
        count: int = config.num_key_value_heads
        return count

    def d_head(self, config: Any) -> int:
        """The width of a head."""
        given: int | None = getattr(config, "head_dim", None)
        return given or config.hidden_size // config.num_attention_heads

    def parallel(self, config: Any) -> bool:
        """Whether attention and MLP of a layer read the same residual stream."""
        return False

    def layers(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """The decoder layers, first to last; each one's input is the residual stream."""
        return list(model.get_submodule(self.layers_at).children())

    def attention(self, layer: nn.Module) -> nn.Module:
        """The attention module."""
        return layer.get_submodule(self.attention_at)

    def mlp(self, layer: nn.Module) -> nn.Module:
        """The MLP, a mixture of experts being one; or its last module."""
        return layer.get_submodule(self.mlp_at)

    def experts(self, layer: nn.Module) -> nn.Module | None:
        """The routed experts of the MLP, where it is a mixture of which they are known."""
        found: nn.Module | None = getattr(self.mlp(layer), self.experts_at or "", None)
        return found

    def has_shared_expert(self, layer: nn.Module) -> bool:
        """Whether a mixture also has an expert that every row goes through."""
        return hasattr(self.mlp(layer), self.shared_expert_at or "")

    def mid(self, layer: nn.Module) -> nn.Module:
        """The module whose input is the residual stream between attention and MLP, where there is one."""
        return layer.get_submodule(self.mid_at)

    def attention_norm(self, layer: nn.Module) -> nn.Module | None:
        """The norm that what attention writes goes through, if any."""
        return None if self.attention_norm_at is None else layer.get_submodule(self.attention_norm_at)

    def multiplier(self, layer: nn.Module) -> float:
        """What attention's and the MLP's outputs are multiplied with before they are added."""
        return 1.0

    def attn_out(self, layer: nn.Module, shape: Shape) -> Slot:
        """What attention adds to the residual stream."""
        module = self.attention_norm(layer) or self.output(self.attention(layer))
        return whole(module, 1, shape.d_model, factor=self.multiplier(layer))

    def mlp_out(self, layer: nn.Module, shape: Shape) -> Slot:
        """What the MLP adds to the residual stream."""
        module = self.mlp(layer) if self.mlp_norm_at is None else layer.get_submodule(self.mlp_norm_at)
        return whole(module, 1, shape.d_model, factor=self.multiplier(layer))

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        """The queries as they go into the rotary embedding: after a norm of theirs, if there is one."""
        plain = whole(attention.get_submodule(self.query_at), shape.heads, shape.d_head)
        return _normed(attention, self.query_norm_at, plain)

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        """The keys, likewise."""
        plain = whole(attention.get_submodule(self.key_at), shape.kv_heads, shape.d_head)
        return _normed(attention, self.key_norm_at, plain)

    def value(self, attention: nn.Module, shape: Shape) -> Slot:
        """The values."""
        return whole(attention.get_submodule(self.value_at), shape.kv_heads, shape.d_head)

    def output(self, attention: nn.Module) -> nn.Module:
        """The output projection."""
        return attention.get_submodule(self.output_at)

    def z(self, attention: nn.Module, shape: Shape) -> Slot:
        """Each head's output, in the input of the output projection."""
        return whole(self.output(attention), shape.heads, shape.d_head)

    def final_norm(self, model: PreTrainedModel) -> nn.Module:
        """The norm before the unembedding."""
        norm: nn.Module = model.get_submodule(self.final_norm_at)
        return norm

    def norm(self, module: nn.Module) -> Norm:
        """The facts of one of the model's norms over d_model: torch's own LayerNorm, or Llama's RMSNorm."""
        if isinstance(module, nn.LayerNorm):
            return Norm(module.eps, module.weight, module.bias, centred=True)
        return Norm(epsilon=module.variance_epsilon, weight=module.weight)  # type: ignore[arg-type]

    def frozen_norm(self, model: PreTrainedModel, residual: Tensor) -> FrozenNorm:
        """The final norm as a linear map, its scale taken at `residual`, `[d_model]` float32."""
        return self.frozen(self.final_norm(model), residual)

    def frozen(self, module: nn.Module, at: Tensor) -> FrozenNorm:
        """One of the model's norms as a linear map, its scale taken at `at`, `[d_model]` float32."""
        with weights_there(module):
            return self.norm(module).frozen(at)

    def unembedding(self, model: PreTrainedModel) -> nn.Module:
        """The module with the unembedding matrix, `weight [vocabulary, d_model]`."""
        head: nn.Module = model.get_output_embeddings()
        return head

    def logit_divisor(self, config: Any) -> float:
        """What the model divides the unembedding's output by."""
        return 1.0

    def logit_cap(self, config: Any) -> float | None:
        """The soft cap on logits: the model gives `cap * tanh(logit / cap)`; None where it has none."""
        return None


def fused(module: nn.Module, shape: Shape, blocks: Sequence[int]) -> Slot:
    """Some of the blocks, of a head's width each, that one projection gives for queries, keys and values together."""
    return Slot(module, shape.d_head, shape.heads + 2 * shape.kv_heads, blocks)


def _normed(attention: nn.Module, norm: str | None, plain: Slot) -> Slot:
    if norm is None or not hasattr(attention, norm):
        return plain
    return replace(plain, module=attention.get_submodule(norm), heads_first=True)


def refused(config: Any, what: str) -> ModelError:
    """The error for a config that a family does not serve."""
    return ModelError(
        f"This {config.model_type} model {what}, which is not supported. Choose another model of the family."
    )
