"""Heads' final rows with queries, keys or values put into subspaces, in one run, from the lowest layer up.

A head of a higher layer projects the query that it has once the lower ones are exchanged. The keys and values of the
labels stay the clean run's, since they come before the final position.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.analyses.subspace.fitting import Fits, question_of
from backend.analyses.subspace.head_inputs import ByHead, HeadInputs, Read, read_with
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.pattern import kv_head_of
from backend.engine.rotation import Rotations
from backend.engine.sweep import FinalInputs, FinalRows, check_rows
from backend.engine.trace import Trace

PARTS = ("", "_q", "_k", "_v")
"""Queries and keys together, and each alone."""


@dataclass(frozen=True)
class Projection:
    """One case: mean and `rank` dimensions of what `part` of `PARTS` says, of every head."""

    fits: Fits
    rank: int
    part: str = ""

    def of(self, head: HeadRef, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The head's query, keys and values, projected where they are to be."""
        fit = self.fits[head]
        return (
            fit.q.projected(q, self.rank) if self.part in ("", "_q") else q,
            fit.k.projected(k, self.rank) if self.part in ("", "_k") else k,
            fit.v.projected(v, self.rank) if self.part == "_v" else v,
        )


def rotations_of(instrument: Instrument, heads: Sequence[HeadRef]) -> dict[int, Rotations]:
    """The rotary embeddings of the heads' layers, where these heads can be projected together.

    Raises RequestError as `Rotations` does, and as `check_rows` where the layers are several.
    """
    layers = sorted({head.layer for head in heads})
    if len(layers) > 1:
        check_rows(instrument)
    return {layer: Rotations(instrument, layer) for layer in layers}


def projected(
    instrument: Instrument,
    inputs: ByHead,
    rotations: Mapping[int, Rotations],
    cases: Sequence[Projection],
    progress: Progress,
) -> dict[HeadRef, Read]:
    """What each head gives and where it looks in each case, all heads being projected together."""
    trace = instrument.trace(question_of(inputs).prompt.token_ids, progress)
    layers = sorted({head.layer for head in inputs})
    rows = FinalRows(instrument, trace, layers[0], len(cases), progress)
    reads: dict[HeadRef, Read] = {}
    for layer in layers:
        while rows.layer < layer:
            rows.go_up({head.head: read.z for head, read in reads.items() if head.layer == rows.layer})
        final = rows.inputs()
        for head, own in inputs.items():
            if head.layer == layer:
                reads[head] = _read(trace, own, head, rotations[layer], cases, final)
    return reads


def _read(
    trace: Trace,
    inputs: HeadInputs,
    head: HeadRef,
    rotations: Rotations,
    cases: Sequence[Projection],
    final: FinalInputs,
) -> Read:
    given = [
        case.of(head, q, inputs.k, inputs.v) for case, q in zip(cases, final.q[:, head.head], strict=True)
    ]
    q, k, v = (torch.stack(part) for part in zip(*given, strict=True))
    # The final position attends to itself too.
    kv_head, at = kv_head_of(trace, head.head), (*inputs.positions, trace.positions - 1)
    k, v = (torch.cat([part, own[:, None, kv_head]], 1) for part, own in ((k, final.k), (v, final.v)))
    return read_with(trace, replace(inputs, positions=at), head, rotations, q, k, v)
