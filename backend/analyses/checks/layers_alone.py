"""Whether the layers of a model that is known by structure only can be called alone, seen by doing so.

Cones and paths call a layer on rows of many runs at once, with the other arguments that the model gave it. That works
for most architectures. Here it is done with a few cells and rows, and the result compared with the model's own passes.
"""

from collections.abc import Iterator

import torch

from backend.analyses.tolerance import FLOAT32, largest_share
from backend.engine.instrument import Instrument
from backend.engine.paths import through_heads
from backend.engine.rotation import Rotations
from backend.engine.sweep import (
    Sweep,
    Wanted,
    all_cells,
    components_of,
    each_alone,
    recheck,
    run_source,
    run_sweep,
)
from backend.engine.trace import Trace
from backend.engine.writes import mlp_writes
from backend.models.memory import is_out_of_memory


def layers_run_alone(instrument: Instrument, token_ids: tuple[int, ...]) -> bool:
    """Try it on a small model in float32. `instrument.family` is told the answer too."""
    family = instrument.family
    family.layer_by_layer = True
    try:
        family.layer_by_layer = all(error <= FLOAT32.activations for error in _errors(instrument, token_ids))
    except Exception as error:  # the border: a layer of another's that is called in a way its model does not
        if is_out_of_memory(error):
            raise
        family.layer_by_layer = False
    return family.layer_by_layer


def _errors(instrument: Instrument, token_ids: tuple[int, ...]) -> Iterator[float]:
    """Each is a share of the largest value. NaN where something is not recorded."""
    base, position = instrument.trace(token_ids), len(token_ids) // 3
    for component in components_of(instrument.shape):
        yield _cones_error(instrument, base, token_ids, component, position)
    final = len(token_ids) - 1
    for layer in range(instrument.shape.layers):
        unchanged = through_heads(instrument, base, layer, torch.zeros_like(base.resid_pre[:1]))[0]
        yield max(largest_share(part, base.z[layer, -1]) for part in unchanged)
        at = torch.tensor([position, final])
        written = mlp_writes(instrument, base, layer, base.before_mlp(layer)[at])
        yield largest_share(written, base.mlp_out[layer, at])
        rotations = Rotations(instrument, layer)
        turned = torch.einsum("phd,pde->hpe", base.q[layer, at], rotations.of_queries(base, at.tolist()))
        yield largest_share(turned, base.q_rotated[layer][:, at])
        turned = torch.einsum("phd,pde->hpe", base.k[layer, at], rotations.of_keys(base, at.tolist()))
        yield largest_share(turned, base.k_rotated[layer][:, at])


def _cones_error(
    instrument: Instrument, base: Trace, token_ids: tuple[int, ...], component: str, position: int
) -> float:
    """Of one cell in each layer, its first head's, patched from a prompt whose token at `position` is another."""
    other = (*token_ids[:position], token_ids[position - 1], *token_ids[position + 1 :])
    cells = [cell for cell in all_cells(component, instrument.shape, [position]) if not cell.head]
    source = run_source(instrument, token_ids, other, None)
    wanted = Wanted(tuple(base.logits.topk(4).indices.tolist()))
    sweep = Sweep(token_ids, source, each_alone(component, cells), wanted)
    error = recheck(instrument, sweep, run_sweep(instrument, sweep), count=len(cells))
    return error / float(base.logits.abs().max())
