"""Heads' outputs at the final position with queries, keys or values projected onto subspaces, from the lowest layer up.

Example: L15H13 and L16H7 are projected together. First L15H13's output is computed from its projected query and keys.
It replaces the head's output, layer 16 runs on it, and L16H7 projects the query that it then has. Keys and values at
the labels stay those of the clean run, since only the final position changes and the labels come before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.analyses.subspace.fitting import Fits, question_of
from backend.analyses.subspace.head_inputs import ByHead, HeadOutput, HeadRow
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.pattern import kv_head_of
from backend.engine.rotation import Rotations
from backend.engine.sweep import FinalInputs, FinalRows, check_rows

PARTS = ("", "_q", "_k", "_v")
"""What is projected: queries and keys; queries, keys or values alone."""


@dataclass(frozen=True)
class Projection:
    """One case: for every head, `part` of `PARTS` is projected onto its mean and `rank` dimensions."""

    fits: Fits
    rank: int
    part: str = ""

    def of(self, head: HeadRef, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The head's query, keys and values, with those of `part` projected."""
        fit = self.fits[head]
        return (
            fit.q.projected(q, self.rank) if self.part in ("", "_q") else q,
            fit.k.projected(k, self.rank) if self.part in ("", "_k") else k,
            fit.v.projected(v, self.rank) if self.part == "_v" else v,
        )


def rotations_of(instrument: Instrument, heads: Sequence[HeadRef]) -> dict[int, Rotations]:
    """The rotary embedding of each of the heads' layers.

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
) -> dict[HeadRef, HeadOutput]:
    """Each head's output and row of attention in each case, with all heads projected together."""
    trace = instrument.trace(question_of(inputs).prompt.token_ids, progress)
    layers = sorted({head.layer for head in inputs})
    rows = FinalRows(instrument, trace, layers[0], len(cases), progress)
    outputs: dict[HeadRef, HeadOutput] = {}
    for layer in layers:
        while rows.layer < layer:
            rows.go_up({head.head: output.z for head, output in outputs.items() if head.layer == rows.layer})
        final = rows.inputs()
        for head, own in inputs.items():
            if head.layer == layer:
                outputs[head] = _output(HeadRow(trace, own, head, rotations[layer]), cases, final)
    return outputs


def _output(row: HeadRow, cases: Sequence[Projection], final: FinalInputs) -> HeadOutput:
    """The head's output in each case, from what reaches its layer's final position in that case."""
    trace, inputs, head = row.trace, row.inputs, row.head
    given = [
        case.of(head, q, inputs.k, inputs.v) for case, q in zip(cases, final.q[:, head.head], strict=True)
    ]
    q, k, v = (torch.stack(part) for part in zip(*given, strict=True))
    # The final position attends to itself too, and its key and value differ from case to case.
    kv_head, positions = kv_head_of(trace, head.head), (*inputs.positions, trace.positions - 1)
    k, v = (torch.cat([part, own[:, None, kv_head]], 1) for part, own in ((k, final.k), (v, final.v)))
    return replace(row, inputs=replace(inputs, positions=positions)).output(q, k, v)
