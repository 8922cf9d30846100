"""The run that cells are patched into: its trace, and how the model called each of its layers."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from backend.engine.instrument import Instrument
from backend.engine.trace import Trace, trace
from backend.progress import Progress

# What a layer is given once for each position, on axis 1; a mask is ours to make.
BY_POSITION = ("position_embeddings", "position_ids")
NOT_PASSED_ON = ("attention_mask", "past_key_values", "use_cache", "cache_position")


@dataclass(frozen=True)
class BaseRun:
    """A recorded run. `calls` holds each layer's keyword arguments."""

    trace: Trace
    calls: tuple[dict[str, Any], ...]

    @property
    def tokens(self) -> int:
        """How many positions the prompt has."""
        return self.trace.resid_final.shape[0]

    def resid_after(self, layer: int) -> Tensor:
        """The residual stream after a layer, `[position, d_model]`."""
        last = layer + 1 == self.trace.resid_pre.shape[0]
        return self.trace.resid_final if last else self.trace.resid_pre[layer + 1]

    def call(self, layer: int, positions: Tensor) -> dict[str, Any]:
        """Keyword arguments for a call of `layer` whose rows stand at `positions`, `[row]`."""
        arguments = {name: value for name, value in self.calls[layer].items() if name not in NOT_PASSED_ON}
        for name in BY_POSITION:
            if arguments.get(name) is not None:
                arguments[name] = _gather(arguments[name], positions)
        return arguments


def record(instrument: Instrument, token_ids: tuple[int, ...], progress: Progress) -> BaseRun:
    """Trace a prompt and keep how its layers were called."""
    calls: list[dict[str, Any]] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(kwargs)

    with ExitStack() as stack:
        for layer in instrument.family.layers(instrument.model):
            stack.callback(layer.register_forward_pre_hook(keep, with_kwargs=True).remove)
        recorded = trace(instrument.model, instrument.family, token_ids, progress)
    return BaseRun(recorded, tuple(calls))


def _gather(value: Tensor | tuple[Tensor, ...], positions: Tensor) -> Any:
    if isinstance(value, tuple):
        return tuple(_gather(part, positions) for part in value)
    return value[:, positions.to(value.device)]
