"""Path patching: who feeds one node's inputs, or whom one node feeds, at the final position.

The sender writes as in the corrupted run, and only the receiver's query, keys, values or MLP input see it; everything
else stays clean. Effect: m(clean) - m(patched), positive where the path helps the clean answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.circuit.schema import PATHS
from backend.analyses.findings import array, layer_head_ticks, prompt_scalars
from backend.analyses.patching.pairs import Pair, Runs, pair_scalars, pairs_of
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.paths import INPUTS, Senders, residual_change, senders, through_heads
from backend.engine.sweep import Cell, Node, OwnValues, Sweep, Wanted, recheck, run_sweep
from backend.engine.writes import mlp_writes

RECHECKED = 3
Given = tuple[Node, Tensor]
"""A node and the value that is patched there."""


@dataclass(frozen=True)
class Place:
    """The embedding (no layer), an MLP (no head) or a head."""

    layer: int | None
    head: int | None

    def __str__(self) -> str:
        if self.layer is None:
            return "embedding"
        return f"MLP {self.layer}" if self.head is None else str(HeadRef(self.layer, self.head))


@dataclass(frozen=True)
class Found:
    """Effects of one pair, by the names of the result's arrays; and the re-check's error."""

    arrays: dict[str, Tensor]
    oracle_error: float


class Paths:
    """Path patching within one pair of runs."""

    def __init__(self, instrument: Instrument, pair: Pair, progress: Progress) -> None:
        self._instrument = instrument
        self._pair = pair
        self._progress = progress
        self._runs: Runs = pair.runs("noise")
        self._pairing = self._runs.pairing
        self._base = instrument.trace(self._runs.base, progress)
        self._source = instrument.trace(self._runs.source, progress)

    def into(self, receiver: Place) -> Found:
        """Arrays `heads[input, layer, head]`, `mlps[input, layer]`, `embedding[input]`, `whole[input]`."""
        assert receiver.layer is not None  # read so
        shape = self._instrument.shape
        # As a rule an MLP also reads the heads of its own layer.
        own_heads = receiver.head is None and not shape.parallel
        sent = self._senders(receiver.layer + own_heads)
        mlps = sent.mlps[: receiver.layer]
        whole = residual_change(self._base, self._source, self._pairing, receiver.layer, own_heads)
        changes = torch.cat([whole[None], sent.embedding[None], *(part[None] for part in mlps), *sent.heads])
        given = self._received(receiver, changes)
        values, error = self._effects([one for row in given for one in row])
        effects = values.view(len(given), -1).T
        inputs = len(effects)
        heads = torch.full((inputs, shape.layers, shape.heads), float("nan"))
        mlp_effects = torch.full((inputs, shape.layers), float("nan"))
        mlp_effects[:, : len(mlps)] = effects[:, 2 : 2 + len(mlps)]
        heads[:, : len(sent.heads)] = effects[:, 2 + len(mlps) :].reshape(inputs, -1, shape.heads)
        arrays = {"heads": heads, "mlps": mlp_effects, "embedding": effects[:, 1], "whole": effects[:, 0]}
        return Found(arrays, error)

    def out_of(self, sender: Place) -> Found:
        """Arrays `heads[input, layer, head]` and `receiver_mlps[layer]`."""
        shape = self._instrument.shape
        first = 0 if sender.layer is None else sender.layer + 1
        change = self._change(sender)
        first_mlp = first - 1 if sender.head is not None and not shape.parallel else first
        mlps = [self._mlp(layer, change[None])[0] for layer in range(first_mlp, shape.layers)]
        heads = [
            self._heads(layer, change[None], range(shape.heads))[0] for layer in range(first, shape.layers)
        ]
        values, error = self._effects([*mlps, *(one for row in heads for one in row)])
        mlp_effects = torch.full((shape.layers,), float("nan"))
        mlp_effects[first_mlp:] = values[: len(mlps)]
        by_head = torch.full((len(INPUTS), shape.layers, shape.heads), float("nan"))
        if heads:
            grid = values[len(mlps) :].view(len(heads), len(INPUTS), shape.heads)
            by_head[:, first:] = grid.transpose(0, 1)
        return Found({"heads": by_head, "receiver_mlps": mlp_effects}, error)

    def _senders(self, layers: int) -> Senders:
        self._progress("Reading what each node writes")
        return senders(self._instrument, self._base, self._source, self._pairing, layers)

    def _change(self, sender: Place) -> Float[Tensor, "position d_model"]:
        if sender.layer is None:
            return self._senders(0).embedding
        sent = self._senders(sender.layer + 1)
        return sent.mlps[sender.layer] if sender.head is None else sent.heads[sender.layer][sender.head]

    def _received(
        self, receiver: Place, changes: Float[Tensor, "sender position d_model"]
    ) -> list[list[Given]]:
        """For each sender what the receiver gives, by input."""
        assert receiver.layer is not None
        if receiver.head is None:
            return [[given] for given in self._mlp(receiver.layer, changes)]
        return self._heads(receiver.layer, changes, [receiver.head])

    def _heads(
        self, layer: int, changes: Float[Tensor, "sender position d_model"], heads: Sequence[int]
    ) -> list[list[Given]]:
        """For each sender, by input and then head, the heads' `z`."""
        self._progress("Following the paths", layer, self._instrument.shape.layers)
        z = through_heads(self._instrument, self._base, layer, changes)
        final = self._base.positions - 1
        return [
            [
                (("z", Cell(layer, final, head)), of_sender[number, head])
                for number in range(len(INPUTS))
                for head in heads
            ]
            for of_sender in z
        ]

    def _mlp(self, layer: int, changes: Float[Tensor, "sender position d_model"]) -> list[Given]:
        """What the MLP writes at the final position, for each sender."""
        final = self._base.positions - 1
        before = self._base.before_mlp(layer)[-1] + changes[:, -1]
        rows = mlp_writes(self._instrument, self._base, layer, before)
        return [(("mlp_out", Cell(layer, final)), row) for row in rows]

    def _effects(self, given: list[Given]) -> tuple[Float[Tensor, " path"], float]:
        """m(clean) - m(patched), and the largest difference to whole passes over a random few."""
        instrument, pair = self._instrument, self._pair
        source = OwnValues({(number, node): value for number, (node, value) in enumerate(given)})
        sets = [[node] for node, _ in given]
        wanted = Wanted(pair.token_ids, pair.vocabulary)
        sweep = Sweep(self._runs.base, source, sets, wanted)
        swept = run_sweep(instrument, sweep, progress=self._progress)
        clean, _ = pair.unpatched(instrument, self._progress)
        effects = clean - pair.values(instrument, swept.logits, swept.logsumexp)
        error = recheck(instrument, sweep, swept, count=RECHECKED, progress=self._progress)
        return effects, error


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Effects of all paths into a receiver, or out of a sender; means over the corrupted prompts drawn."""
    if not instrument.family.layer_by_layer:
        raise RequestError(
            f"Paths call a model's layers one by one, and {instrument.resolved.name}, of type "
            f"{shown(instrument.shape.model_type)}, is known by its structure alone. Patching and effects work on it."
        )
    values = PATHS.values(task.request)
    mode, place = _end(instrument, values)
    (prompt,) = task.prompts(instrument)
    pairs = pairs_of(instrument, task, 0, prompt, values, progress)
    found = []
    for pair in pairs:
        paths = Paths(instrument, pair, progress)
        found.append(paths.into(place) if mode == "receiver" else paths.out_of(place))
    unit = pairs[0].metric.metric.unit
    axes = {
        "heads": ("input", "layer", "head"),
        "mlps": ("input", "layer"),
        "receiver_mlps": ("layer",),
        "embedding": ("input",),
        "whole": ("input",),
    }
    arrays = {
        name: array(torch.stack([each.arrays[name] for each in found]).mean(0), axes[name], unit)
        for name in found[0].arrays
    }
    inputs = ("mlp",) if mode == "receiver" and place.head is None else INPUTS
    return Findings(
        arrays=arrays,
        ticks={**layer_head_ticks(instrument), "input": inputs},
        scalars={
            **prompt_scalars(prompt),
            **pair_scalars(pairs, [pair.unpatched(instrument, progress) for pair in pairs]),
            "mode": mode,
            "node": str(place),
        },
        checks={"oracle_error": (worst(each.oracle_error for each in found), tolerance(instrument).logits)},
    )


def _end(instrument: Instrument, values: Mapping[str, Any]) -> tuple[str, Place]:
    """Receiver or sender, and which node. Raises RequestError where the model has no such node."""
    mode = "sender" if values["receiver"] is None else "receiver"
    node = values[mode]
    place = Place(*node["head"]) if "head" in node else Place(node.get("mlp"), None)
    shape = instrument.shape
    if (place.layer or 0) >= shape.layers or (place.head or 0) >= shape.heads:
        raise RequestError(
            f"There is no {place}: {instrument.resolved.name} has layers 0 to {shape.layers - 1} and heads 0 to "
            f"{shape.heads - 1}."
        )
    return mode, place
