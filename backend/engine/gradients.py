"""How a number read from the final logits hangs on each activation of a run: one pass forwards, any number back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.contract.components import COMPONENTS
from backend.contract.errors import ModelError, ResourceError
from backend.contract.progress import Progress, silent
from backend.engine.components import at_components
from backend.engine.instrument import Instrument
from backend.engine.model_pass import on_cpu
from backend.engine.recording import recorded_pass
from backend.engine.sweep import components_of
from backend.engine.trace import Components, Trace, trace_bytes
from backend.models.families import Slot
from backend.models.memory import available_memory

WRITES = ("attn_out", "mlp_out")
PER_TRACE, PER_EAGER_SCORE = 8, 16
"""Memory of a graph and its gradients, as measured with 60 to 1,000 tokens of a 0.5B model: in sizes of a trace, and
bytes for each score of an attention that keeps its patterns."""
Held = tuple[Tensor, Slot | None]
"""A tensor of the pass and where a component stands in it; None where it is all of it."""


class Gradients(Components):
    """The derivative of one number by every component at every place, float32 on the CPU."""


class Graph:
    """A pass whose activations are kept, to go back through; it takes several times the memory of a trace.

    Attributes:
        trace: what the pass left.
        logits: at the final position, over the whole vocabulary, float32 on the CPU; what is differentiated must be
            computed from them.
    """

    def __init__(
        self,
        instrument: Instrument,
        trace: Trace,
        logits: Float[Tensor, " vocabulary"],
        held: dict[str, list[Held]],
    ) -> None:
        self.trace = trace
        self.logits = logits
        self._name, self._shape, self._held = instrument.resolved.name, instrument.shape, held

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
        return kept if COMPONENTS[name].heads is not None else kept.reshape(-1, self._shape.d_model)


def forward(instrument: Instrument, token_ids: tuple[int, ...], progress: Progress = silent) -> Graph:
    """Run `token_ids` once, from the first layer's input on, with all that a backward pass needs.

    The pass is the model's own. It leaves a trace as any other does, so that nobody has to make one more.

    Raises:
        ResourceError: the graph and its gradients would not fit into the memory.
        ModelError: some part of the model does not let gradients through.
        Cancelled: `progress` raised it; it is asked before each layer.
    """
    model, family, name = instrument.model, instrument.family, instrument.resolved.name
    _check_room(instrument, len(token_ids))
    held: dict[str, list[Held]] = {name: [] for name in components_of(instrument.shape) if name != "pattern"}
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.callback(family.layers(model)[0].register_forward_pre_hook(_begin, with_kwargs=True).remove)
        stack.enter_context(at_components(model, family, lambda name, _, *place: held[name].append(place)))
        recorded, logits = recorded_pass(model, family, token_ids, progress)
    for component, parts in held.items():
        if not all(tensor.requires_grad for tensor, _ in parts):
            raise _impassable(name, f"they are lost before {component}")
    instrument.keep(token_ids, recorded)
    return Graph(instrument, recorded, logits.to("cpu", torch.float32), held)


def _check_room(instrument: Instrument, tokens: int) -> None:
    shape = instrument.shape
    need = PER_TRACE * trace_bytes(shape, tokens)
    if instrument.model.config._attn_implementation == "eager":
        need += PER_EAGER_SCORE * shape.layers * shape.heads * tokens**2
    # The graph keeps what it fetched of offloaded weights.
    offloaded = sum(weights.nbytes for weights in instrument.model.parameters() if weights.is_meta)
    on = instrument.layers_on.items()
    free = min(available_memory(device) * shape.layers // here for device, here in on)
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
