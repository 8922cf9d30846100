"""How a number read from the final logits hangs on each activation of a run: one pass forwards, any number back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.engine.attention_hook import replacing
from backend.engine.components import at_components
from backend.engine.instrument import Instrument
from backend.engine.pattern import for_heads, patterns
from backend.engine.sweep import COMPONENTS, components_of
from backend.engine.trace import Components, Trace, between_layers, final_logits, on_cpu
from backend.errors import ModelError, ResourceError
from backend.models.families import Shape, Slot
from backend.models.memory import available_memory
from backend.progress import Progress, silent

WRITES = ("attn_out", "mlp_out")
PER_TRACE, PER_PATTERN = 7, 4
"""Memory of a graph and its gradients, in sizes of a trace and of all patterns: as measured with 500 and 1,000 tokens
of a 0.5B model."""
Held = tuple[Tensor, Slot | None]
"""A tensor of the pass and where a component stands in it; None where it is all of it."""


@dataclass(frozen=True, kw_only=True)
class Gradients(Components):
    """The derivative of one number by every component at every place, float32 on the CPU.

    `pattern`: by the weight that a query gives a key, all else held fixed.
    """

    pattern: Float[Tensor, "layer head query key"]


class Graph:
    """A pass whose activations are kept, to go back through; it takes several times the memory of a trace.

    Attributes:
        logits: at the final position, over the whole vocabulary, float32 on the CPU; what is differentiated must be
            computed from them.
    """

    def __init__(
        self, name: str, shape: Shape, logits: Float[Tensor, " vocabulary"], held: dict[str, list[Held]]
    ) -> None:
        self.logits = logits
        self._name, self._shape, self._held = name, shape, held

    def gradients(
        self, value: Float[Tensor, ""], progress: Progress = silent, dropped: int | None = None
    ) -> Gradients:
        """The derivatives of `value`. With `dropped` none of them goes through what that layer writes.

        Raises:
            ModelError: the backward pass failed.
            Cancelled: `progress` raised it; it is asked before each layer.
        """
        flat = [tensor for held in self._held.values() for tensor, _ in held]
        with self._hooked(progress, dropped):
            try:
                found = iter(torch.autograd.grad(value, flat, retain_graph=True))
            except RuntimeError as error:
                raise _impassable(self._name, str(error)) from error
        by_name = {
            name: torch.stack([self._like_trace(name, next(found), slot) for _, slot in held])
            for name, held in self._held.items()
        }
        if dropped is not None:
            for name in WRITES:
                by_name[name][dropped] = 0  # torch reads a tensor's gradient before its hook changes it
        between = by_name.pop("resid_mid", None)
        return Gradients(resid_mid=between, **by_name)

    @contextmanager
    def _hooked(self, progress: Progress, dropped: int | None) -> Iterator[None]:
        layers = self._shape.layers
        with ExitStack() as stack:
            for layer, (tensor, _) in enumerate(self._held["resid_pre"]):

                def done(_: Tensor, layer: int = layer) -> None:
                    progress("Going back through the layers", layers - layer, layers)

                _hook(stack, tensor, done)
            if dropped is not None:
                for name in WRITES:
                    _hook(stack, self._held[name][dropped][0], torch.zeros_like)
            yield

    def _like_trace(self, name: str, gradient: Tensor, slot: Slot | None) -> Tensor:
        kept = on_cpu(gradient if slot is None else slot.gradient(gradient))
        return kept if COMPONENTS[name].heads != "none" else kept.reshape(-1, self._shape.d_model)


def forward(instrument: Instrument, token_ids: tuple[int, ...], progress: Progress = silent) -> Graph:
    """Run `token_ids` once, from the first layer's input on, with all that a backward pass needs.

    The attention call is answered by a plain softmax, so that there is a pattern to differentiate by.

    Raises:
        ResourceError: the graph and its gradients would not fit into the memory.
        ModelError: some part of the model does not let gradients through.
        Cancelled: `progress` raised it; it is asked before each layer.
    """
    model, family = instrument.model, instrument.family
    recorded = instrument.trace(token_ids, progress)
    _check_room(instrument, recorded)
    layers = family.layers(model)
    places = {family.attention(layer): index for index, layer in enumerate(layers)}
    held: dict[str, list[Held]] = {name: [] for name in components_of(instrument.shape)}

    def attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        looked = patterns(recorded, places[module], query[0].float(), key[0].float())
        held["pattern"].append((looked, None))
        values = for_heads(value[0].float(), len(looked))
        return (looked @ values).to(value.dtype).transpose(0, 1)[None]

    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.callback(layers[0].register_forward_pre_hook(_begin, with_kwargs=True).remove)
        stack.enter_context(between_layers(model, family, progress))
        stack.enter_context(at_components(model, family, lambda name, _, *place: held[name].append(place)))
        stack.enter_context(replacing(model, family, attend))
        logits = final_logits(model, family, token_ids).to("cpu", torch.float32)
    for name, parts in held.items():
        if not all(tensor.requires_grad for tensor, _ in parts):
            raise _impassable(instrument.resolved.name, f"they are lost before {name}")
    return Graph(instrument.resolved.name, instrument.shape, logits, held)


def _check_room(instrument: Instrument, recorded: Trace) -> None:
    layers, heads, tokens, _ = recorded.q_rotated.shape
    need = PER_TRACE * recorded.nbytes + PER_PATTERN * 4 * layers * heads * tokens**2
    # The graph keeps what it fetched of offloaded weights.
    offloaded = sum(weights.nbytes for weights in instrument.model.parameters() if weights.is_meta)
    free = min(available_memory(device) * layers // here for device, here in instrument.layers_on.items())
    if need + offloaded > free:
        raise ResourceError(
            f"Gradients of a prompt of {tokens} tokens need about {(need + offloaded) / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} GB are free. Take a shorter prompt, or fewer shots"
            f"{', or hold the model in fewer bits, so that nothing is offloaded' if offloaded else ''}."
        )


def _hook(stack: ExitStack, tensor: Tensor, call: Callable[[Tensor], Tensor | None]) -> None:
    stack.callback(tensor.register_hook(call).remove)  # type: ignore[no-untyped-call]


def _begin(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The first layer's input becomes the graph's leaf."""
    if args:
        return (args[0].detach().requires_grad_(), *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": kwargs["hidden_states"].detach().requires_grad_()}


def _impassable(name: str, why: str) -> ModelError:
    return ModelError(
        f"Gradients of {name} could not be taken: {why}. Try a shorter prompt, or dtype float32 without quantization."
    )
