"""Path patching: who feeds one node's inputs, or whom one node feeds, at the final position.

The sender's write is taken from the corrupted run. Only the receiver's query, keys, values or MLP input see it;
everything else stays clean. Effect: m(clean) - m(patched), positive where the path helps the clean answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from backend.engine.sweep import Cell, Node, OwnValues, Sweep, Swept, Wanted, recheck, run_sweep
from backend.engine.writes import mlp_writes

RECHECKED = 3


@dataclass(frozen=True)
class Patch:
    """A node, and the value that is patched there."""

    node: Node
    value: Tensor


@dataclass(frozen=True)
class End:
    """The node at one end of the paths: the embedding (no layer), an MLP (no head) or a head."""

    layer: int | None
    head: int | None

    def __str__(self) -> str:
        if self.layer is None:
            return "embedding"
        return f"MLP {self.layer}" if self.head is None else str(HeadRef(self.layer, self.head))


@dataclass(frozen=True)
class Found:
    """Effects of one pair, by the names of the result's arrays; and the sweep that gave them, to be re-checked."""

    arrays: dict[str, Tensor]
    sweep: Sweep
    swept: Swept

    def oracle_error(self, instrument: Instrument, progress: Progress) -> float:
        """The largest difference from whole forward passes, over a random few patches."""
        return recheck(instrument, self.sweep, self.swept, count=RECHECKED, progress=progress)


@dataclass(frozen=True)
class BySender:
    """One row for each sender. As one tensor: the whole input, the embedding, the MLPs, the heads layer by layer."""

    whole: Tensor
    embedding: Tensor
    mlps: Tensor
    heads: Tensor

    @classmethod
    def split(cls, rows: Tensor, mlps: int) -> "BySender":
        """`rows[sender, ...]` in this order, with `mlps` MLPs among the senders."""
        return cls(whole=rows[0], embedding=rows[1], mlps=rows[2 : 2 + mlps], heads=rows[2 + mlps :])


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

    def into(self, receiver: End) -> Found:
        """Arrays `heads[input, layer, head]`, `mlps[input, layer]`, `embedding[input]`, `whole[input]`."""
        assert receiver.layer is not None  # the schema refuses the embedding as a receiver
        shape = self._instrument.shape
        # Where attention and MLP do not run in parallel, an MLP also reads the heads of its own layer.
        own_heads = receiver.head is None and not shape.parallel
        sent = self._senders(receiver.layer + own_heads)
        mlps = sent.mlps[: receiver.layer]
        whole = residual_change(self._base, self._source, self._pairing, receiver.layer, own_heads)
        changes = torch.cat([whole[None], sent.embedding[None], *(part[None] for part in mlps), *sent.heads])
        patches = self._received(receiver, changes)
        values, sweep, swept = self._effects([patch for of_sender in patches for patch in of_sender])
        by_input = values.view(len(patches), -1)
        inputs = by_input.shape[1]
        effects = BySender.split(by_input, len(mlps))
        head_effects = torch.full((inputs, shape.layers, shape.heads), float("nan"))
        mlp_effects = torch.full((inputs, shape.layers), float("nan"))
        mlp_effects[:, : len(mlps)] = effects.mlps.T
        head_effects[:, : len(sent.heads)] = effects.heads.T.reshape(inputs, -1, shape.heads)
        arrays = {
            "heads": head_effects,
            "mlps": mlp_effects,
            "embedding": effects.embedding,
            "whole": effects.whole,
        }
        return Found(arrays, sweep, swept)

    def out_of(self, sender: End) -> Found:
        """Arrays `heads[input, layer, head]` and `receiver_mlps[layer]`."""
        shape = self._instrument.shape
        first = 0 if sender.layer is None else sender.layer + 1
        change = self._change(sender)
        first_mlp = first - 1 if sender.head is not None and not shape.parallel else first
        mlps = [self._mlp(layer, change[None])[0] for layer in range(first_mlp, shape.layers)]
        heads = [
            self._heads(layer, change[None], range(shape.heads))[0] for layer in range(first, shape.layers)
        ]
        values, sweep, swept = self._effects([*mlps, *(patch for of_layer in heads for patch in of_layer)])
        into_mlps, into_heads = values.tensor_split([len(mlps)])
        mlp_effects = torch.full((shape.layers,), float("nan"))
        mlp_effects[first_mlp:] = into_mlps
        head_effects = torch.full((len(INPUTS), shape.layers, shape.heads), float("nan"))
        if heads:
            by_layer = into_heads.view(len(heads), len(INPUTS), shape.heads)
            head_effects[:, first:] = by_layer.transpose(0, 1)
        return Found({"heads": head_effects, "receiver_mlps": mlp_effects}, sweep, swept)

    def _senders(self, layers: int) -> Senders:
        self._progress("Reading what each node writes")
        return senders(self._instrument, self._base, self._source, self._pairing, layers)

    def _change(self, sender: End) -> Float[Tensor, "position d_model"]:
        if sender.layer is None:
            return self._senders(0).embedding
        sent = self._senders(sender.layer + 1)
        return sent.mlps[sender.layer] if sender.head is None else sent.heads[sender.layer][sender.head]

    def _received(
        self, receiver: End, changes: Float[Tensor, "sender position d_model"]
    ) -> list[list[Patch]]:
        """For each sender, by input: the receiver with its changed output."""
        assert receiver.layer is not None
        if receiver.head is None:
            return [[patch] for patch in self._mlp(receiver.layer, changes)]
        return self._heads(receiver.layer, changes, [receiver.head])

    def _heads(
        self, layer: int, changes: Float[Tensor, "sender position d_model"], heads: Sequence[int]
    ) -> list[list[Patch]]:
        """For each sender, by input and then head: the heads with their changed `z`."""
        self._progress("Following the paths", layer, self._instrument.shape.layers)
        z = through_heads(self._instrument, self._base, layer, changes)
        final = self._base.positions - 1
        return [
            [
                Patch(("z", Cell(layer, final, head)), of_sender[number, head])
                for number in range(len(INPUTS))
                for head in heads
            ]
            for of_sender in z
        ]

    def _mlp(self, layer: int, changes: Float[Tensor, "sender position d_model"]) -> list[Patch]:
        """For each sender: the MLP with its changed output at the final position."""
        final = self._base.positions - 1
        before = self._base.before_mlp(layer)[-1] + changes[:, -1]
        rows = mlp_writes(self._instrument, self._base, layer, before)
        return [Patch(("mlp_out", Cell(layer, final)), row) for row in rows]

    def _effects(self, patches: list[Patch]) -> tuple[Float[Tensor, " path"], Sweep, Swept]:
        """m(clean) - m(patched), and the sweep that it comes from."""
        instrument, pair = self._instrument, self._pair
        source = OwnValues({(number, patch.node): patch.value for number, patch in enumerate(patches)})
        sets = [[patch.node] for patch in patches]
        wanted = Wanted(pair.token_ids, pair.vocabulary)
        sweep = Sweep(self._runs.base, source, sets, wanted)
        swept = run_sweep(instrument, sweep, progress=self._progress)
        clean, _ = pair.unpatched(instrument, self._progress)
        effects = clean - pair.values(instrument, swept.logits, swept.logsumexp)
        return effects, sweep, swept


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Effects of all paths into a receiver, or out of a sender; means over the corrupted prompts drawn."""
    if not instrument.family.layer_by_layer:
        raise RequestError(
            f"Path patching calls a model's layers one by one. That does not work for {instrument.resolved.name}: its "
            f"type {shown(instrument.shape.model_type)} is not in the list of known types, and the self-check found "
            "that they give other numbers alone. Use patching or effects."
        )
    values = PATHS.values(task.request)
    mode, end = _end(instrument, values)
    (prompt,) = task.prompts(instrument)
    pairs = pairs_of(instrument, task, 0, prompt, values, progress)
    ends = [pair.unpatched(instrument, progress) for pair in pairs]
    found: list[dict[str, Tensor]] = []
    errors = []

    def findings() -> Findings:
        scalars = {**prompt_scalars(prompt), **pair_scalars(pairs, ends), "mode": mode, "node": str(end)}
        return _findings(instrument, pairs[0].metric.metric.unit, found, scalars)

    for pair in pairs:
        paths = Paths(instrument, pair, progress)
        of_pair = paths.into(end) if mode == "receiver" else paths.out_of(end)
        found.append(of_pair.arrays)
        if task.show is not None and len(found) == len(pairs):
            task.show(findings())
        errors.append(of_pair.oracle_error(instrument, progress))
    return replace(findings(), checks={"oracle_error": (worst(errors), tolerance(instrument).logits)})


def _findings(
    instrument: Instrument, unit: str, found: list[dict[str, Tensor]], scalars: dict[str, Any]
) -> Findings:
    """Means over the corrupted prompts, without checks."""
    into_mlp = scalars["mode"] == "receiver" and scalars["node"].startswith("MLP")
    axes = {
        "heads": ("input", "layer", "head"),
        "mlps": ("input", "layer"),
        "receiver_mlps": ("layer",),
        "embedding": ("input",),
        "whole": ("input",),
    }
    arrays = {
        name: array(torch.stack([each[name] for each in found]).mean(0), axes[name], unit)
        for name in found[0]
    }
    return Findings(
        arrays=arrays,
        ticks={**layer_head_ticks(instrument), "input": ("mlp",) if into_mlp else INPUTS},
        scalars=scalars,
    )


def _end(instrument: Instrument, values: Mapping[str, Any]) -> tuple[str, End]:
    """`receiver` or `sender`, and the node. Raises RequestError where the model has no such node."""
    mode = "sender" if values["receiver"] is None else "receiver"
    node = values[mode]
    end = End(*node["head"]) if "head" in node else End(node.get("mlp"), None)
    shape = instrument.shape
    if (end.layer or 0) >= shape.layers or (end.head or 0) >= shape.heads:
        raise RequestError(
            f"There is no {end}: {instrument.resolved.name} has layers 0 to {shape.layers - 1} and heads 0 to "
            f"{shape.heads - 1}."
        )
    return mode, end
