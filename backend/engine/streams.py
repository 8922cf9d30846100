"""The residual stream at every depth of one pass. Depth 0 is the embedding, depth d the stream after layer d - 1."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from backend.contract.progress import Progress, silent
from backend.engine.components import before_module
from backend.engine.instrument import Instrument, kept_whole
from backend.engine.model_pass import between_layers, final_logits
from backend.engine.trace import Trace

Visit = Callable[[int, Float[Tensor, "position d_model"]], None]
"""Called with a depth and the residual stream there, at every position."""


def stream_of(trace: Trace, depth: int) -> Float[Tensor, "position d_model"]:
    """The stream at one depth of a trace of all positions."""
    return trace.resid_pre[depth] if depth < len(trace.resid_pre) else trace.resid_final


def visit_streams(
    instrument: Instrument, token_ids: tuple[int, ...], visit: Visit, progress: Progress = silent
) -> None:
    """Call `visit` at each depth, from the embedding up.

    A prompt whose trace may stay in the cache is traced. A longer one is run with a hook before each layer, so that
    the stream of one depth is held at a time, in the model's dtype and on its device.

    Raises what a pass raises, and Cancelled.
    """
    if kept_whole(instrument.shape, len(token_ids)):
        trace = instrument.trace(token_ids, progress)
        for depth in range(instrument.shape.layers + 1):
            visit(depth, stream_of(trace, depth))
        return
    with (
        torch.no_grad(),
        watched(instrument, visit),
        between_layers(instrument.model, instrument.family, progress),
    ):
        final_logits(instrument.model, instrument.family, token_ids)


@contextmanager
def watched(instrument: Instrument, visit: Visit) -> Iterator[None]:
    """While inside, `visit` is called at each depth of every pass, after all hooks that were there before.

    What it does with the model's own modules, such as the final norm, is not visited.
    """
    model, family = instrument.model, instrument.family
    visiting = False
    with ExitStack() as stack:
        for depth, module in enumerate([*family.layers(model), family.final_norm(model)]):

            def seen(residual: Tensor, depth: int = depth) -> None:
                nonlocal visiting
                if not visiting:
                    visiting = True
                    try:
                        visit(depth, residual[0])
                    finally:
                        visiting = False

            before_module(stack, module, seen)
        yield
