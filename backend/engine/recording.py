"""One forward pass of the unmodified model, recorded as a trace."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.contract.errors import ModelError, shown
from backend.contract.progress import Progress, silent
from backend.engine.attention_call import AttentionCall
from backend.engine.attention_hook import listening
from backend.engine.components import at_components, before_module
from backend.engine.model_pass import between_layers, final_logits, on_cpu
from backend.engine.trace import Routed, Trace
from backend.models.families import Family, Shape, Slot

NOT_RECORDED = ("attention_mask", "past_key_values", "use_cache", "cache_position")


def trace(
    model: PreTrainedModel,
    family: Family,
    token_ids: tuple[int, ...],
    progress: Progress = silent,
    *,
    final: bool = False,
) -> Trace:
    """Run `token_ids` once and record the pass, or with `final` what its final position needs of it.

    Raises:
        ModelError: a token that the model does not have.
        Cancelled: `progress` raised it; it is called before each layer.
    """
    with torch.no_grad():
        return recorded_pass(model, family, token_ids, progress, final=final)[0]


def refuse_unknown_tokens(shape: Shape, token_ids: tuple[int, ...]) -> None:
    """Raises ModelError if there is a token that the model does not have."""
    if max(token_ids) >= shape.vocabulary:
        raise ModelError(
            f"The prompt has the token {max(token_ids)}, and the model knows {shape.vocabulary}, counted from 0: its "
            "tokenizer belongs to another model. Fetch the model again, or choose another."
        )


def recorded_pass(
    model: PreTrainedModel,
    family: Family,
    token_ids: tuple[int, ...],
    progress: Progress = silent,
    *,
    final: bool = False,
) -> tuple[Trace, Float[Tensor, " vocabulary"]]:
    """The trace, and the final logits as the model's own tensor, so that gradients can flow back through it.

    The trace itself is not part of the graph. Raises as `trace` does.
    """
    shape = family.shape(model)
    refuse_unknown_tokens(shape, token_ids)
    record = _Record(shape, len(token_ids), final=final)
    with between_layers(model, family, progress), _recording(model, family, record):
        logits = final_logits(model, family, token_ids)
    return record.trace(on_cpu(logits)), logits


class _Record:
    """Tensors for everything that is recorded, allocated before the pass, so that no layer is stored twice."""

    def __init__(self, shape: Shape, keys: int, *, final: bool) -> None:
        positions = 1 if final else keys

        def empty(*sizes: int) -> Tensor:
            # NaN, so that what is not recorded is not taken for a value.
            return torch.full((shape.layers, *sizes), float("nan"))

        self.shape, self.keys = shape, keys
        self.tensors = {
            "resid_pre": empty(positions, shape.d_model),
            "attn_out": empty(positions, shape.d_model),
            "mlp_out": empty(positions, shape.d_model),
            "z": empty(positions, shape.heads, shape.d_head),
            "q": empty(positions, shape.heads, shape.d_head),
            "k": empty(keys, shape.kv_heads, shape.d_head),
            "v": empty(keys, shape.kv_heads, shape.d_head),
            "q_rotated": empty(shape.heads, positions, shape.d_head),
            "k_rotated": empty(shape.kv_heads, keys, shape.d_head),
        }
        if not shape.parallel:
            self.tensors["resid_mid"] = empty(positions, shape.d_model)
        self.resid_final = torch.empty(positions, shape.d_model)
        self.unembedded = torch.empty(shape.vocabulary)
        self.masks: list[Tensor | None] = [None] * shape.layers
        self.scaling = [0.0] * shape.layers
        self.softcaps: list[float | None] = [None] * shape.layers
        self.calls: list[dict[str, Any]] = [{}] * shape.layers
        self.routed: list[Routed | None] = [None] * shape.layers
        self._seen_masks: dict[int, tuple[Tensor, Tensor]] = {}

    def component(self, name: str, layer: int, value: Tensor) -> None:
        target = self.tensors[name][layer]
        axis = 1 if name.endswith("_rotated") else 0
        sizes = list(target.shape)
        recorded, sizes[axis] = sizes[axis], self.keys
        if value.numel() != prod(sizes):
            raise self.misfit(name, layer, value)
        target.copy_(value.detach().reshape(sizes).narrow(axis, self.keys - recorded, recorded))

    def misfit(self, name: str, layer: int, value: Tensor) -> ModelError:
        """The error for an activation that has another size than the config says."""
        sizes = self.tensors[name].shape
        expected = prod(sizes[1:]) // sizes[2 if name.endswith("_rotated") else 1]
        return ModelError(
            f"Models of type {shown(self.shape.model_type)} are not served: in layer {layer}, {name} has "
            f"{value.numel() // self.keys:,} numbers a token, where the config says {expected:,}, so that its layers "
            "are not built as they are known here. Choose another model."
        )

    def attention_call(self, layer: int, call: AttentionCall) -> None:
        self.component("q_rotated", layer, call.query)
        self.component("k_rotated", layer, call.key)
        self.mask(layer, call.mask)
        self.scaling[layer], self.softcaps[layer] = call.scaling, call.softcap

    def mask(self, layer: int, mask: Tensor | None) -> None:
        if mask is None:
            return
        # Layers share a mask. The tensor itself is stored with its copy, so that no later tensor gets its id.
        if id(mask) not in self._seen_masks:
            self._seen_masks[id(mask)] = (mask, _additive(mask))
        self.masks[layer] = self._seen_masks[id(mask)][1]

    def call(self, layer: int, arguments: dict[str, Any]) -> None:
        self.calls[layer] = {
            name: None if name in NOT_RECORDED else _detached(value) for name, value in arguments.items()
        }

    def route(self, layer: int, hidden: Tensor, experts: Tensor, weights: Tensor) -> None:
        self.routed[layer] = Routed(*(each[-1].detach().clone() for each in (hidden, experts, weights)))

    def trace(self, logits: Tensor) -> Trace:
        middle = self.tensors.pop("resid_mid", None)
        return Trace(
            **self.tensors,
            resid_mid=middle,
            resid_final=self.resid_final,
            masks=tuple(self.masks),
            scaling=tuple(self.scaling),
            softcaps=tuple(self.softcaps),
            unembedded=self.unembedded,
            logits=logits,
            calls=tuple(self.calls),
            routed=tuple(self.routed),
        )


@contextmanager
def _recording(model: PreTrainedModel, family: Family, record: _Record) -> Iterator[None]:
    def unembed(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        record.unembedded.copy_(output[0, -1].detach())

    def called(index: int) -> Callable[..., None]:
        return lambda _, args, kwargs: record.call(index, kwargs)

    def routed(index: int) -> Callable[..., None]:
        return lambda _, args: record.route(index, *args)

    def component(name: str, layer: int, tensor: Tensor, slot: Slot | None) -> None:
        try:
            value = tensor if slot is None else slot.read(tensor)
        except RuntimeError as error:
            raise record.misfit(name, layer, tensor) from error
        record.component(name, layer, value)

    with ExitStack() as stack:
        stack.enter_context(at_components(model, family, component))
        before_module(
            stack,
            family.final_norm(model),
            lambda value: record.resid_final.copy_(value[0, -len(record.resid_final) :].detach()),
        )
        stack.callback(family.unembedding(model).register_forward_hook(unembed).remove)
        layers = family.layers(model)
        for index, layer in enumerate(layers):
            stack.callback(layer.register_forward_pre_hook(called(index), with_kwargs=True).remove)
            if (experts := family.experts(layer)) is not None:
                stack.callback(experts.register_forward_pre_hook(routed(index)).remove)
        layer_of = {family.attention(layer): index for index, layer in enumerate(layers)}

        def attend(call: AttentionCall) -> None:
            record.attention_call(layer_of[call.module], call)

        stack.enter_context(listening(model, family, attend))
        yield


def _additive(mask: Tensor) -> Tensor:
    plain = mask[0, 0]
    if plain.dtype == torch.bool:
        return torch.zeros(plain.shape).masked_fill_(~plain.cpu(), float("-inf"))
    return on_cpu(plain)


def _detached(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_detached(part) for part in value)
    return value.detach() if isinstance(value, Tensor) else value
