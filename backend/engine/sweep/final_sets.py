"""Sets of heads and MLPs replaced together at the final position, for several questions in one batch.

A case is one question with a state for each head and MLP at the final position: LIVE ones compute their output from
what reaches them, REPLACED ones get another run's output, CLEAN ones hold the output of the question's own run. Rows
before the final position stay as they are, so each case is a single row, and rows of all questions go through a layer
together; each attends to the keys and values of its own question.

Example: 2 layers of 2 heads, and the set {L0H1}. To ablate the set, L0H1 is REPLACED and everything else LIVE. To keep
only the set, everything else is REPLACED, and L0H1 is LIVE or CLEAN.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from backend.contract.progress import Progress, give_way, silent
from backend.engine.instrument import Instrument
from backend.engine.sweep.batching import batch_rows, budget_for
from backend.engine.sweep.cells import Cell, Node
from backend.engine.sweep.experiment import Experiment
from backend.engine.sweep.final_rows import check_rows
from backend.engine.sweep.layer_call import Batch, call_layer
from backend.engine.sweep.patches import Patch
from backend.engine.sweep.readout import Readout, Wanted, readout_of_rows, readout_of_run
from backend.engine.sweep.rows import Block
from backend.engine.sweep.source import OwnValues
from backend.engine.sweep.whole_model import patched_run
from backend.engine.trace import Trace
from backend.models.placement import device_of

LIVE, REPLACED, CLEAN = 0, 1, 2
MESSAGE = "Replacing sets of heads and MLPs"


@dataclass(frozen=True)
class FinalOutputs:
    """What every head and MLP gives at the final position of one run, or a mean over runs; float32, CPU."""

    z: Float[Tensor, "layer head d_head"]
    mlp_out: Float[Tensor, "layer d_model"]


@dataclass(frozen=True)
class FinalRun:
    """A question's run and what replaces its heads and MLPs.

    Attributes:
        token_ids: its prompt.
        base: its trace; that of the final position is enough.
        other: the replacing outputs.
    """

    token_ids: tuple[int, ...]
    base: Trace
    other: FinalOutputs

    @property
    def clean(self) -> FinalOutputs:
        """Its own outputs."""
        return outputs_of(self.base)


def outputs_of(trace: Trace) -> FinalOutputs:
    """The outputs of all heads and MLPs at the final position of a run."""
    return FinalOutputs(trace.z[:, -1], trace.mlp_out[:, -1])


@dataclass(frozen=True)
class States:
    """The state of each head and MLP, one row a case: LIVE, REPLACED or CLEAN."""

    heads: UInt8[Tensor, "case layer head"]
    mlps: UInt8[Tensor, "case layer"]

    def __len__(self) -> int:
        return len(self.mlps)

    @property
    def first(self) -> Int[Tensor, " case"]:
        """The lowest layer with a node that is not live; the number of layers if there is none."""
        touched = self.heads.bool().any(2) | self.mlps.bool()
        lowest = touched.to(torch.uint8).argmax(1)
        return torch.where(touched.any(1), lowest, touched.shape[1])


@dataclass(frozen=True)
class FinalSets:
    """Cases on several questions.

    Attributes:
        runs: the questions.
        run: for each case the index of its question.
        states: for each case the states of heads and MLPs.
    """

    runs: Sequence[FinalRun]
    run: Int[Tensor, " case"]
    states: States

    def part(self, cases: Tensor) -> "FinalSets":
        """Some of the cases."""
        states = States(self.states.heads[cases], self.states.mlps[cases])
        return FinalSets(self.runs, self.run[cases], states)


@torch.no_grad()
def run_final_sets(
    instrument: Instrument, sets: FinalSets, progress: Progress = silent
) -> Float[Tensor, "case d_model"]:
    """The final residual stream at the final position after each case; float32, CPU.

    Raises RequestError as `check_rows` does, and Cancelled if `progress` does: it is called before each layer.
    """
    check_rows(instrument)
    tokens = max(run.base.positions for run in sets.runs)
    step = batch_rows(instrument, tokens, budget_for(instrument))
    order = sets.run.argsort(stable=True)
    final = torch.empty(len(order), instrument.shape.d_model)
    batches = torch.split(order, step)
    layers = instrument.shape.layers
    for done, cases in enumerate(batches):
        batch = _Batch(instrument, sets.part(cases))
        for layer in range(layers):
            progress(MESSAGE, done * layers + layer, len(batches) * layers)
            batch.go_up(layer)
        final[cases] = batch.final()
        give_way()
    return final


class _Batch:
    """Cases that go up the layers together, sorted by their question."""

    def __init__(self, instrument: Instrument, sets: FinalSets) -> None:
        self._instrument, self._sets = instrument, sets
        self._first = sets.states.first
        self._rows = torch.zeros(len(sets.run), instrument.shape.d_model, dtype=instrument.model.dtype)

    def go_up(self, layer: int) -> None:
        """Take the cases through a layer. Those whose lowest touched layer it is begin with their question's row."""
        sets = self._sets
        for case in (self._first == layer).nonzero()[:, 0].tolist():
            self._rows[case] = sets.runs[int(sets.run[case])].base.resid_pre[layer, -1].to(self._rows)
        active = (self._first <= layer).nonzero()[:, 0]
        if not len(active):
            return
        device = device_of(self._instrument.family.layers(self._instrument.model)[layer])
        counts = Counter(sets.run[active].tolist())  # in the order of the cases, which are sorted by question
        bases = [sets.runs[index].base for index in counts]
        blocks = [
            Block(base.positions - 1, 1, count, index)
            for index, (base, count) in enumerate(zip(bases, counts.values(), strict=True))
        ]
        patches = _patches(sets.part(active), layer)
        batch = Batch(self._rows[active].to(device), blocks, patches)
        self._rows[active] = call_layer(self._instrument, bases, layer, batch).to(self._rows)

    def final(self) -> Float[Tensor, "case d_model"]:
        """The residual streams after the last layer."""
        untouched = (self._first == self._instrument.shape.layers).nonzero()[:, 0]
        for case in untouched.tolist():
            self._rows[case] = self._sets.runs[int(self._sets.run[case])].base.resid_final[-1].to(self._rows)
        return self._rows.float()


def _patches(sets: FinalSets, layer: int) -> dict[str, Patch]:
    """The outputs that are not live in a layer; row i of the batch is case i."""
    used = sorted({*sets.run.tolist()})
    number = torch.zeros(len(sets.runs), dtype=torch.long)
    number[used] = torch.arange(len(used))
    pairs = [(sets.runs[index].clean, sets.runs[index].other) for index in used]
    z = torch.stack([torch.stack([outputs.z[layer] for outputs in pair]) for pair in pairs])
    mlp = torch.stack([torch.stack([outputs.mlp_out[layer] for outputs in pair]) for pair in pairs])
    patches: dict[str, Patch] = {}
    states = sets.states.heads[:, layer]
    rows, heads = states.nonzero().T
    if len(rows):
        replaced = (states[rows, heads] == REPLACED).long()
        patches["z"] = Patch(rows, heads, z[number[sets.run[rows]], replaced, heads])
    states = sets.states.mlps[:, layer]
    rows = states.nonzero()[:, 0]
    if len(rows):
        replaced = (states[rows] == REPLACED).long()
        patches["mlp_out"] = Patch(rows, None, mlp[number[sets.run[rows]], replaced])
    return patches


def nodes_of(sets: FinalSets, case: int) -> tuple[list[Node], OwnValues]:
    """A case as the nodes of an experiment on its question's prompt, and their values."""
    run = sets.runs[int(sets.run[case])]
    position = len(run.token_ids) - 1
    values: dict[tuple[int, Node], Tensor] = {}
    for layer, head in sets.states.heads[case].nonzero().tolist():
        outputs = run.other if sets.states.heads[case, layer, head] == REPLACED else run.clean
        values[case, ("z", Cell(layer, position, head))] = outputs.z[layer, head]
    for layer in sets.states.mlps[case].nonzero()[:, 0].tolist():
        outputs = run.other if sets.states.mlps[case, layer] == REPLACED else run.clean
        values[case, ("mlp_out", Cell(layer, position))] = outputs.mlp_out[layer]
    return [node for _, node in values], OwnValues(values)


def recheck_final_sets(
    instrument: Instrument,
    sets: FinalSets,
    final: Float[Tensor, "case d_model"],
    cases: Sequence[int],
    wanted: Wanted,
    progress: Progress = silent,
) -> float:
    """The largest absolute difference of logits between some cases and passes of the whole model with hooks.

    NaN if any value is NaN. Raises Cancelled between two layers when `progress` does.
    """
    worst = torch.zeros(1)
    for case in cases:
        give_way()
        nodes, source = nodes_of(sets, case)
        if not nodes:
            continue
        run = sets.runs[int(sets.run[case])]
        experiment = Experiment.of(case, tuple(nodes))
        whole = readout_of_run(*patched_run(instrument, run.token_ids, source, experiment, progress), wanted)
        mine = readout_of(instrument, final[case][None], wanted)
        worst = torch.maximum(worst, (whole.logits - mine.logits).abs().max())
    return float(worst)


@torch.no_grad()
def readout_of(instrument: Instrument, final: Float[Tensor, "case d_model"], wanted: Wanted) -> Readout:
    """The readout from final residual streams on the CPU."""
    device = instrument.weights.device
    return readout_of_rows(instrument, final.to(device, instrument.model.dtype), wanted)
