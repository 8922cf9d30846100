"""Gradients of a number computed from the final logits, by every activation of a run.

One forward pass keeps the graph; then any number of backward passes go through it:

    graph = forward(instrument, token_ids)
    gradients = graph.gradients(graph.logits[5] - graph.logits[7])
    gradients.z[layer, position, head]       # the derivative of that logit difference by one head's output
"""

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
"""Memory of a graph and its gradients, measured with 60 to 1,000 tokens of a 0.5B model: a multiple of a trace's size,
and bytes for each score of an eager attention, which keeps its patterns."""
GraphTensor = tuple[Tensor, Slot | None]
"""A tensor of the graph and the slot of a component in it; None if the component is all of it."""


class Gradients(Components):
    """The derivative of one number by each component at each layer, position and head; float32 on the CPU."""


class Graph:
    """A forward pass whose graph is kept for backward passes; it takes several times the memory of a trace.

    Attributes:
        trace: the trace of the pass.
        logits: at the final position, over the whole vocabulary; float32 on the CPU, with gradients. The number that is
            differentiated must be computed from them.
    """

    def __init__(
        self,
        instrument: Instrument,
        trace: Trace,
        logits: Float[Tensor, " vocabulary"],
        tensors: dict[str, list[GraphTensor]],
    ) -> None:
        self.trace = trace
        self.logits = logits
        self._name, self._shape, self._tensors = instrument.resolved.name, instrument.shape, tensors

    def gradients(
        self, value: Float[Tensor, ""], progress: Progress = silent, dropped: int | None = None
    ) -> Gradients:
        """The derivatives of `value`.

        Args:
            value: a number computed from `logits`.
            dropped: a layer whose writes to the residual stream pass no gradient on (GradDrop of AtP*, Kramár et al.
                2024).

        Raises:
            ModelError: the backward pass failed.
            Cancelled: `progress` raised it; it is called before each layer.
        """
        flat = [tensor for parts in self._tensors.values() for tensor, _ in parts]
        with self._hooked(progress, dropped):
            try:
                found = iter(torch.autograd.grad(value, flat, retain_graph=True))
            except RuntimeError as error:
                raise _no_gradients(self._name, str(error)) from error
        by_name = {
            name: torch.stack([self._like_trace(name, next(found), slot) for _, slot in parts])
            for name, parts in self._tensors.items()
        }
        if dropped is not None:
            for name in WRITES:
                by_name[name][dropped] = 0  # torch stores a tensor's gradient before the hook sets it to 0
        between = by_name.pop("resid_mid", None)
        return Gradients(resid_mid=between, **by_name)

    @contextmanager
    def _hooked(self, progress: Progress, dropped: int | None) -> Iterator[None]:
        layers = self._shape.layers
        with ExitStack() as stack:
            for layer, (tensor, _) in enumerate(self._tensors["resid_pre"]):

                def done(_: Tensor, layer: int = layer) -> None:
                    progress("Going back through the layers", layers - layer, layers)

                _hook(stack, tensor, done)
            if dropped is not None:
                for name in WRITES:
                    _hook(stack, self._tensors[name][dropped][0], torch.zeros_like)
            yield

    def _like_trace(self, name: str, gradient: Tensor, slot: Slot | None) -> Tensor:
        values = on_cpu(gradient if slot is None else slot.gradient(gradient))
        return values if COMPONENTS[name].heads is not None else values.reshape(-1, self._shape.d_model)


def forward(instrument: Instrument, token_ids: tuple[int, ...], progress: Progress = silent) -> Graph:
    """Run `token_ids` once and keep the graph, from the first layer's input on.

    The pass is the model's own. Its trace goes to the instrument's cache, so that no second pass is needed for it.

    Raises:
        ResourceError: the graph and its gradients would not fit into memory.
        ModelError: gradients do not flow through some part of the model.
        Cancelled: `progress` raised it; it is called before each layer.
    """
    model, family, name = instrument.model, instrument.family, instrument.resolved.name
    _check_memory(instrument, len(token_ids))
    tensors: dict[str, list[GraphTensor]] = {
        name: [] for name in components_of(instrument.shape) if name != "pattern"
    }
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.callback(family.layers(model)[0].register_forward_pre_hook(_begin, with_kwargs=True).remove)
        stack.enter_context(
            at_components(
                model, family, lambda name, _, *tensor_and_slot: tensors[name].append(tensor_and_slot)
            )
        )
        recorded, logits = recorded_pass(model, family, token_ids, progress)
    for component, parts in tensors.items():
        if not all(tensor.requires_grad for tensor, _ in parts):
            raise _no_gradients(name, f"they are lost before {component}")
    instrument.cache(token_ids, recorded)
    return Graph(instrument, recorded, logits.to("cpu", torch.float32), tensors)


def _check_memory(instrument: Instrument, tokens: int) -> None:
    shape = instrument.shape
    need = PER_TRACE * trace_bytes(shape, tokens)
    if instrument.model.config._attn_implementation == "eager":
        need += PER_EAGER_SCORE * shape.layers * shape.heads * tokens**2
    # The graph keeps the offloaded weights that the pass loaded.
    offloaded = sum(weights.nbytes for weights in instrument.model.parameters() if weights.is_meta)
    on = instrument.layers_on.items()
    free = min(available_memory(device) * shape.layers // here for device, here in on)
    if need + offloaded > free:
        raise ResourceError(
            f"Gradients of a prompt of {tokens} tokens need about {(need + offloaded) / 1e9:.1f} GB and "
            f"{free / 1e9:.1f} GB are free. Take a shorter prompt, or fewer shots"
            f"{', or quantize the model, so that nothing is offloaded' if offloaded else ''}."
        )


def _hook(stack: ExitStack, tensor: Tensor, call: Callable[[Tensor], Tensor | None]) -> None:
    stack.callback(tensor.register_hook(call).remove)  # type: ignore[no-untyped-call]


def _begin(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """A hook that makes the first layer's input the leaf of the graph."""
    if args:
        return (args[0].detach().requires_grad_(), *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": kwargs["hidden_states"].detach().requires_grad_()}


def _no_gradients(name: str, why: str) -> ModelError:
    return ModelError(
        f"Gradients of {name} could not be taken: {why}. Try a shorter prompt, or dtype float32 without quantization."
    )
