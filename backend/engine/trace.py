"""One forward pass of the unmodified model, and all that it leaves for the analyses to read."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.contract.errors import ModelError
from backend.contract.progress import Progress, silent
from backend.engine.attention_hook import AttentionCall, listening
from backend.engine.components import at_components, before_module
from backend.models.families import Family, Shape, Slot
from backend.models.placement import device_of

NOT_KEPT = ("attention_mask", "past_key_values", "use_cache", "cache_position")

MAX_POSITIONS = 2048
"""The longest prompt we trace: at 1.5B parameters its trace is about 2.4 GB."""


@dataclass(frozen=True)
class Routed:
    """What the experts of a layer were called with at the final position, as the model held it.

    Attributes:
        hidden: what they read.
        experts: the numbers of those chosen.
        weights: what each one's output is multiplied with.
    """

    hidden: Float[Tensor, " d_model"]
    experts: Int[Tensor, " chosen"]
    weights: Float[Tensor, " chosen"]


@dataclass(frozen=True, kw_only=True)
class Components:
    """One number, or its derivative, for each place of each component.

    Attributes:
        resid_pre: residual stream before each layer.
        resid_mid: residual stream between attention and MLP; None where a layer computes them side by side.
        attn_out: what attention added to the residual stream.
        mlp_out: what the MLP added.
        z: each head's output before the output projection.
        q, k, v: queries and keys before the rotary embedding, and values.
    """

    resid_pre: Float[Tensor, "layer position d_model"]
    resid_mid: Float[Tensor, "layer position d_model"] | None
    attn_out: Float[Tensor, "layer position d_model"]
    mlp_out: Float[Tensor, "layer position d_model"]
    z: Float[Tensor, "layer position head d_head"]
    q: Float[Tensor, "layer position head d_head"]
    k: Float[Tensor, "layer position kv_head d_head"]
    v: Float[Tensor, "layer position kv_head d_head"]


@dataclass(frozen=True, kw_only=True)
class Trace(Components):
    """What one pass left, float32 on the CPU. Nothing here is larger than `[layer, position, head, d_head]`.

    Attributes:
        resid_final: residual stream after the last layer.
        q_rotated, k_rotated: queries and keys as the attention function got them.
        masks: per layer, what is added to the scores, `[query, key]`; None for plain causal attention.
        scaling: per layer, what the scores are multiplied with.
        softcaps: per layer, the scores' soft cap, which comes before the mask; None where there is none.
        unembedded: what the unembedding gave at the final position, over the whole vocabulary.
        logits: the same after a soft cap or scaling, which only some families have.
        calls: per layer, the keyword arguments that the model called it with; mask and cache are None.
        routed: per layer, what its experts were called with; None where it has none.
    """

    resid_final: Float[Tensor, "position d_model"]
    q_rotated: Float[Tensor, "layer head position d_head"]
    k_rotated: Float[Tensor, "layer kv_head position d_head"]
    masks: tuple[Float[Tensor, "query key"] | None, ...]
    scaling: tuple[float, ...]
    softcaps: tuple[float | None, ...]
    unembedded: Float[Tensor, " vocabulary"]
    logits: Float[Tensor, " vocabulary"]
    calls: tuple[dict[str, Any], ...]
    routed: tuple[Routed | None, ...]

    @property
    def positions(self) -> int:
        """How many tokens the prompt has."""
        return self.resid_final.shape[0]

    def resid_after(self, layer: int) -> Float[Tensor, "position d_model"]:
        """The residual stream after a layer."""
        return self.resid_final if layer + 1 == len(self.resid_pre) else self.resid_pre[layer + 1]

    def before_mlp(self, layer: int) -> Float[Tensor, "position d_model"]:
        """The residual stream that a layer's MLP reads."""
        return self.resid_pre[layer] if self.resid_mid is None else self.resid_mid[layer]

    @property
    def nbytes(self) -> int:
        """Bytes held by the recorded tensors, masks apart (layers share one)."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, Tensor))


def trace(
    model: PreTrainedModel, family: Family, token_ids: tuple[int, ...], progress: Progress = silent
) -> Trace:
    """Run `token_ids` once and record.

    Raises Cancelled between two layers when `progress` does, and ModelError for a token that the model does not have.
    """
    with torch.no_grad():
        return recorded_pass(model, family, token_ids, progress)[0]


def recorded_pass(
    model: PreTrainedModel, family: Family, token_ids: tuple[int, ...], progress: Progress = silent
) -> tuple[Trace, Float[Tensor, " vocabulary"]]:
    """The same, and the final logits as the pass gave them, which gradients may go back through.

    What is recorded is no part of the graph.
    """
    shape = family.shape(model)
    if max(token_ids) >= shape.vocabulary:
        raise ModelError(
            f"The prompt has the token {max(token_ids)}, and the model knows {shape.vocabulary}, counted from 0: its "
            "tokenizer belongs to another model. Fetch the model again, or choose another."
        )
    record = _Record(shape, len(token_ids))
    with between_layers(model, family, progress), _recording(model, family, record):
        logits = final_logits(model, family, token_ids)
    return record.trace(on_cpu(logits)), logits


def trace_bytes(shape: Shape, tokens: int) -> int:
    """Memory of a trace: the residual stream and what is added to it, queries, keys, values and z, in float32."""
    residual = (3 if shape.parallel else 4) * shape.d_model
    return 4 * shape.layers * tokens * (residual + 3 * (shape.heads + shape.kv_heads) * shape.d_head)


@contextmanager
def between_layers(model: PreTrainedModel, family: Family, progress: Progress) -> Iterator[None]:
    """While inside, `progress` is called before each layer of each pass, and may cancel it."""
    layers = family.layers(model)
    with ExitStack() as stack:
        for index, layer in enumerate(layers):

            def start(*_: object, index: int = index) -> None:
                progress("Reading the question", index, len(layers))

            stack.callback(layer.register_forward_pre_hook(start).remove)
        yield


class _Record:
    """Room for everything, allocated once, so that the pass never holds a second copy of a layer."""

    def __init__(self, shape: Shape, positions: int) -> None:
        def room(*sizes: int) -> Tensor:
            return torch.full(
                (shape.layers, *sizes), float("nan")
            )  # what is not recorded must not pass for a value

        self.shape = shape
        self.tensors = {
            "resid_pre": room(positions, shape.d_model),
            "attn_out": room(positions, shape.d_model),
            "mlp_out": room(positions, shape.d_model),
            "z": room(positions, shape.heads, shape.d_head),
            "q": room(positions, shape.heads, shape.d_head),
            "k": room(positions, shape.kv_heads, shape.d_head),
            "v": room(positions, shape.kv_heads, shape.d_head),
            "q_rotated": room(shape.heads, positions, shape.d_head),
            "k_rotated": room(shape.kv_heads, positions, shape.d_head),
        }
        if not shape.parallel:
            self.tensors["resid_mid"] = room(positions, shape.d_model)
        self.resid_final = torch.empty(positions, shape.d_model)
        self.unembedded = torch.empty(shape.vocabulary)
        self.masks: list[Tensor | None] = [None] * shape.layers
        self.scaling = [0.0] * shape.layers
        self.softcaps: list[float | None] = [None] * shape.layers
        self.calls: list[dict[str, Any]] = [{}] * shape.layers
        self.routed: list[Routed | None] = [None] * shape.layers
        self._seen_masks: dict[int, tuple[Tensor, Tensor]] = {}

    def put(self, name: str, layer: int, value: Tensor) -> None:
        room = self.tensors[name][layer]
        room.copy_(value.detach().reshape(room.shape))

    def attention_call(self, layer: int, call: AttentionCall) -> None:
        self.put("q_rotated", layer, call.query)
        self.put("k_rotated", layer, call.key)
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
            name: None if name in NOT_KEPT else _detached(value) for name, value in arguments.items()
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

    def keep(name: str, layer: int, whole: Tensor, slot: Slot | None) -> None:
        record.put(name, layer, whole if slot is None else slot.read(whole))

    with ExitStack() as stack:
        stack.enter_context(at_components(model, family, keep))
        before_module(
            stack, family.final_norm(model), lambda value: record.resid_final.copy_(value[0].detach())
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


def on_cpu(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float32, copy=True)


def final_logits(
    model: PreTrainedModel, family: Family, token_ids: Sequence[int]
) -> Float[Tensor, " vocabulary"]:
    """Run a prompt; the logits at its last position, where the model gives them.

    Where it can, it unembeds that position only: for a small model a quarter less of a pass.
    """
    ids = torch.tensor([token_ids], device=device_of(model.get_input_embeddings()))
    accepted = inspect.signature(model.forward).parameters
    only = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
    with some_unembedded(model, family):
        logits: Tensor = model(input_ids=ids, use_cache=False, **only).logits[0, -1]
    return logits


@contextmanager
def some_unembedded(model: PreTrainedModel, family: Family) -> Iterator[None]:
    """While inside, the rows that the model unembeds are laid apart from those that it does not.

    Torch multiplies rows cut from many with a bfloat16 matrix by copying the matrix first: 0.5 s instead of 0.02 s.
    """

    def apart(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (args[0].clone(memory_format=torch.contiguous_format), *args[1:])

    hook = family.unembedding(model).register_forward_pre_hook(apart)
    try:
        yield
    finally:
        hook.remove()
