"""A family that is not in the registry, tried by the usual names of its parts.

What is found here may be wrong: only the self-check, which compares what is recorded with what the model does, makes
such a model one that can be used.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from backend.contract.errors import ModelError, shown
from backend.models.families.family import Family, Shape
from backend.models.families.norm import Norm
from backend.models.families.slot import Slot
from backend.models.placement import device_of

SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size", "vocab_size", "max_position_embeddings")
PARTS_OF_A_LAYER = {
    "attention_at": ("self_attn", "attention", "attn", "self_attention"),
    "mlp_at": ("mlp", "feed_forward", "block_sparse_moe", "moe", "ffn"),
}
PARTS_OF_ATTENTION = {
    "query_at": ("q_proj",),
    "key_at": ("k_proj",),
    "value_at": ("v_proj",),
    "output_at": ("o_proj", "out_proj", "dense"),
}
NORMS_BEFORE_THE_MLP = ("pre_feedforward_layernorm", "feedforward_layernorm")
FINAL_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f")
# The kinds of layers, in transformers' words, that attend by queries and keys to every key that their mask shows.
ATTENDING = {"full_attention", "sliding_attention", "chunked_attention"}
QUERY_AND_KEY_NORMS = (("q_norm", "k_norm"), ("q_layernorm", "k_layernorm"))


class ByStructure(Family):
    """The parts of one model.

    Its layers are not called alone before the self-check has seen that they can be.
    """

    listed = False
    layer_by_layer = False

    def __init__(self, model: PreTrainedModel) -> None:
        """Raises ModelError where a part has none of the usual names, or where it is known not to be served."""
        _refuse_other_kinds(model)
        for size in SIZES:
            if not hasattr(model.config, size):
                raise _not_found(model, f"{size} in its config")
        self._d_model = model.config.hidden_size
        self.layers_at = _layers_name(model)
        inner = self.layers_at.rpartition(".")[0]
        final_norm = _found(model, model.get_submodule(inner), FINAL_NORMS)
        self.final_norm_at = f"{inner}.{final_norm}" if inner else final_norm
        layer = self.layers(model)[0]
        for part, names in PARTS_OF_A_LAYER.items():
            setattr(self, part, _found(model, layer, names))
        for part, names in PARTS_OF_ATTENTION.items():
            setattr(self, part, _found(model, self.attention(layer), names))
        self._check_layers(model)
        after = _has(layer, "post_attention_layernorm")
        before_mlp = next((name for name in NORMS_BEFORE_THE_MLP if _has(layer, name)), None)
        self._parallel = not (after or before_mlp)
        if before_mlp is not None:
            self.mid_at = before_mlp
            self.attention_norm_at = "post_attention_layernorm" if after else None
        elif not self._parallel and not _has(layer, "input_layernorm"):
            self.mid_at = self.mlp_at
            self.attention_norm_at = "post_attention_layernorm"
        if _has(layer, "post_feedforward_layernorm"):
            self.mlp_norm_at = "post_feedforward_layernorm"
        self._heads_first = self._take_query_norms(model, self.attention(layer))
        self.shape(model)  # a config may have no answer, as where heads are of several widths

    def _check_layers(self, model: PreTrainedModel) -> None:
        """Raises ModelError where a later layer has other parts than the first, or an output is no one matrix."""
        for number, layer in enumerate(self.layers(model)):
            for name in (self.attention_at, self.mlp_at):
                if not _has(layer, name):
                    raise _not_found(model, f"{name} in layer {number}, which layer 0 has")
            for part in PARTS_OF_ATTENTION:
                if not _has(self.attention(layer), getattr(self, part)):
                    raise _not_found(model, f"{getattr(self, part)} in layer {number}, which layer 0 has")
            output = self.output(self.attention(layer))
            if not isinstance(getattr(output, "weight", None), torch.Tensor):
                raise _not_found(
                    model, f"one weight matrix in its {self.output_at}, a {type(output).__name__}"
                )

    def _take_query_norms(self, model: PreTrainedModel, attention: nn.Module) -> bool:
        """Let queries and keys be what their norms give, if there are any; whether those give heads first."""
        for query, key in QUERY_AND_KEY_NORMS:
            if _has(attention, query):
                self.query_at, self.key_at = query, key
                return _gives_heads_first(model, attention.get_submodule(query))
        return False

    def kv_heads(self, config: Any) -> int:
        return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)

    def parallel(self, config: Any) -> bool:
        return self._parallel

    def multiplier(self, layer: nn.Module) -> float:
        return float(getattr(layer, "residual_multiplier", 1.0))

    def logit_divisor(self, config: Any) -> float:
        # Granite divides, Cohere multiplies.
        divisor, factor = (getattr(config, name, None) for name in ("logits_scaling", "logit_scale"))
        return float((1.0 if divisor is None else divisor) / (1.0 if factor is None else factor))

    def logit_cap(self, config: Any) -> float | None:
        cap: float | None = getattr(config, "final_logit_softcapping", None)
        return cap

    def query(self, attention: nn.Module, shape: Shape) -> Slot:
        return replace(super().query(attention, shape), heads_first=self._heads_first)

    def key(self, attention: nn.Module, shape: Shape) -> Slot:
        return replace(super().key(attention, shape), heads_first=self._heads_first)

    def norm(self, module: nn.Module) -> Norm:
        """Read off what the module makes of three vectors whose scale is known: all 0, all 1, and 1 and -1 in turn."""
        epsilon = float(getattr(module, "variance_epsilon", getattr(module, "eps", 0.0)))
        like = next(module.parameters(), torch.empty(0))
        ones = torch.ones(self._d_model, dtype=like.dtype, device=like.device)
        signs = ones.clone()
        signs[1::2] = -1
        with torch.no_grad():
            bias, of_ones, of_signs = (module(x[None, None])[0, 0].float() for x in (0 * ones, ones, signs))
        weight = (of_signs - bias) * signs * (1 + epsilon) ** 0.5
        centred = bool((of_ones - bias).abs().max() < weight.abs().max() / 2)
        return Norm(epsilon, weight, bias, centred)


def _refuse_other_kinds(model: PreTrainedModel) -> None:
    """Refuse what is known not to be served: hybrids, layers of several sizes, learned sinks."""
    kinds = sorted({*(getattr(model.config, "layer_types", None) or ())})
    if not ATTENDING.issuperset(kinds):
        # A state, or keys that are chosen: no pattern of heads says what such a layer reads.
        what = f"their layers are of the kinds {', '.join(kinds)}, and only plain attention has heads and patterns"
    elif getattr(model.config, "is_heterogeneous", False):
        what = f"their layers differ in {', '.join(sorted(model.config.per_layer_attributes))} (per_layer_config)"
    elif any(name.endswith(".sinks") for name, _ in model.named_parameters()):
        what = "their attention has learned sinks, so that the weights of a head sum to less than 1"
    else:
        return
    raise ModelError(
        f"Models of type {shown(model.config.model_type)} are not served: {what}. Choose another."
    )


def _layers_name(model: PreTrainedModel) -> str:
    count = model.config.num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return str(name)
    raise _not_found(model, f"list of {count} layers")


def _found(model: PreTrainedModel, module: nn.Module, names: Sequence[str]) -> str:
    """The first of some names that the module has a part of."""
    for name in names:
        if _has(module, name):
            return name
    raise _not_found(model, " or ".join(names))


def _has(module: nn.Module, name: str) -> bool:
    return isinstance(getattr(module, name, None), nn.Module)


def _not_found(model: PreTrainedModel, what: str) -> ModelError:
    return ModelError(
        f"Models of type {shown(model.config.model_type)} are not known, and by its structure this one cannot be "
        f"used: there is no {what}. Choose another model."
    )


def _gives_heads_first(model: PreTrainedModel, norm: nn.Module) -> bool:
    """Whether a norm of queries gives `[1, head, position, d_head]`: seen in a pass of one token.

    A model on the meta device has no weights to run with. It is only looked through for its parts, so False will do.
    """
    if next(model.parameters()).is_meta:
        return False
    shapes: list[torch.Size] = []
    hook = norm.register_forward_hook(lambda *call: shapes.append(call[-1].shape))
    try:
        with torch.no_grad():
            device = device_of(model.get_input_embeddings())
            model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=device), use_cache=False)
    finally:
        hook.remove()
    return bool(shapes) and len(shapes[0]) == 4 and shapes[0][1] != 1
