"""One patched run whose residual stream is looked at: every row that the patch can change, at every depth.

Depths are those of `backend/engine/streams.py`: depth 0 is the embedding, depth d the stream after layer d - 1.

Example: 3 layers, 4 tokens, `resid_pre` patched at layer 1 and position 2. The patched run's stream can differ at
depths 1 to 3 and positions 2 and 3; at depth 1 only the patched row does. `streams` is `[3, 2, d_model]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.contract.progress import Progress, give_way, silent
from backend.engine.instrument import Instrument
from backend.engine.model_pass import between_layers, final_logits
from backend.engine.streams import stream_of, watched
from backend.engine.sweep.batching import batch_rows, budget_for, check_budget
from backend.engine.sweep.cells import Node
from backend.engine.sweep.cone import ConePass
from backend.engine.sweep.cost import cost_of, needs_whole_model
from backend.engine.sweep.experiment import Experiment, experiments
from backend.engine.sweep.position_group import PositionGroup
from backend.engine.sweep.row_limit import RowLimit
from backend.engine.sweep.source import Ids, Source
from backend.engine.sweep.whole_model import patched
from backend.models.memory import keep_freed

RESIDUAL = "resid_pre"
"""The component that is patched."""


@dataclass(frozen=True)
class PatchedStream:
    """What of a run a patch can change; float32 on the CPU.

    Attributes:
        depth: the first depth patched.
        position: the first position patched.
        streams: the patched run's residual stream from there on.
    """

    depth: int
    position: int
    streams: Float[Tensor, "depth row d_model"]


def patched_stream(
    instrument: Instrument,
    base_ids: Ids,
    source: Source,
    nodes: Sequence[Node],
    progress: Progress = silent,
) -> PatchedStream | None:
    """The run on `base_ids` with these cells of the residual stream patched, by one cone; None if nothing can change.

    A model whose layers cannot be called on some rows makes a whole pass, see `needs_whole_model`.

    Raises:
        RequestError: a node that the model does not have, or that has no value.
        ResourceError: the memory is too little.
        Cancelled: `progress` raised it; it is called after each layer.
    """
    run = experiments(instrument, base_ids, source, [nodes])
    if not run:
        return None
    if needs_whole_model(instrument):
        return whole_patched_stream(instrument, base_ids, source, nodes, progress)
    (experiment,) = run
    base = instrument.trace(base_ids, progress)
    budget = budget_for(instrument)
    check_budget(instrument, base.positions, run, budget)
    keep_freed()
    streams = [stream_of(base, experiment.layer)[experiment.position :].clone()]
    total, done = cost_of(instrument).row_layers(base.positions, experiment), 0

    def advanced(rows: int) -> None:
        nonlocal done
        done += rows
        progress("Patching", done, total)
        give_way()

    def watch(layer: int, groups: Sequence[PositionGroup]) -> None:
        streams.append(groups[0].state[0].float().cpu().clone())

    limit = RowLimit(batch_rows(instrument, base.positions, budget))
    ConePass(instrument, [base], source, run, limit, advanced, watch).run()
    return PatchedStream(
        experiment.layer, experiment.position, _with_patches(torch.stack(streams), source, experiment)
    )


def whole_patched_stream(
    instrument: Instrument,
    base_ids: Ids,
    source: Source,
    nodes: Sequence[Node],
    progress: Progress = silent,
) -> PatchedStream | None:
    """The same by one pass of the whole model with hooks: the oracle of `patched_stream`."""
    run = experiments(instrument, base_ids, source, [nodes])
    if not run:
        return None
    (experiment,) = run
    streams: list[Tensor] = []

    def visit(depth: int, residual: Tensor) -> None:
        if depth >= experiment.layer:
            streams.append(residual[experiment.position :].float().cpu().clone())

    model, family = instrument.model, instrument.family
    with (
        torch.no_grad(),
        patched(instrument, source, [experiment]),
        watched(instrument, visit),
        between_layers(model, family, progress),
    ):
        final_logits(model, family, base_ids)
    return PatchedStream(experiment.layer, experiment.position, torch.stack(streams))


def _with_patches(
    streams: Float[Tensor, "depth row d_model"], source: Source, experiment: Experiment
) -> Float[Tensor, "depth row d_model"]:
    """A cone's states are those after each layer; a patch above the lowest one comes in before the next layer."""
    for component, cell in experiment.nodes:
        (value,) = source.values(component, cell.layer, [(experiment.number, cell)])
        streams[cell.layer - experiment.layer, cell.position - experiment.position] = value
    return streams
