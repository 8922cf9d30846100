"""Two runs, and the same two with blocks of the residual stream put from one into the other.

Whatever is put into a run comes from the other one as it is without patches, also where both are patched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.findings import array, prompt_scalars
from backend.analyses.lens.lens import depth_ticks
from backend.analyses.lens.reading import final_logits, label_logits
from backend.analyses.lens.schema import PATCHED_LENS
from backend.analyses.patching.pairs import Pair, Runs, pairs_of
from backend.analyses.prediction.prediction import top_tokens
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.contract.stream_patch import RUNS, StreamPatch
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_probabilities
from backend.engine.streams import stream_of
from backend.engine.sweep import (
    RESIDUAL,
    Cell,
    Node,
    PatchedStream,
    experiments,
    patched_stream,
    whole_patched_stream,
)

DIRECTIONS = {"clean": "noise", "corrupted": "denoise"}
"""For each run the direction of patching in which it is the one that is patched."""
Lens = Float[Tensor, "depth position label"]


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The labels' logits at each depth and position of both runs, without and with the patches."""
    values = PATCHED_LENS.values(task.request)
    (prompt,) = task.prompts(instrument)
    metric = {"metric": {"kind": "kl"}}  # a pair has one; none is computed here
    (pair,) = pairs_of(instrument, task, 0, prompt, {**values, **metric}, progress)
    patches = [StreamPatch.from_json(one) for one in values["patches"]]
    sides = {name: _side(instrument, pair, name, patches, values["check"], progress) for name in RUNS}
    corrupted = pair.other.token_ids
    tokens = tuple(instrument.tokenizer.decode([token]) for token in corrupted)
    arrays, told = {}, {}
    for name, side in sides.items():
        axis = "position" if name == "clean" else "corrupted_position"
        for suffix, one in (("", side.own), ("_patched", side.patched)):
            arrays[f"label_logits_{name}{suffix}"] = array(one.lens[-1, -1], ("label",), "logits")
            arrays[f"lens_{name}{suffix}"] = array(one.lens, ("depth", axis, "label"), "logits")
            told[f"{name}{suffix}"] = _told(instrument, prompt.labels, one)
    checks = [check for side in sides.values() for check in side.checks]
    limit = tolerance(instrument).logits
    return Findings(
        arrays=arrays,
        ticks={
            "label": prompt.labels,
            "depth": depth_ticks(instrument),
            "position": prompt.tokens,
            "corrupted_position": tokens,
        },
        scalars={
            **prompt_scalars(prompt),
            "corruption": pair.other.note,
            "corrupted_tokens": list(tokens),
            "corrupted_roles": list(pair.other.roles),
            "counterparts": list(pair.other.match),
            "runs": told,
            "cells": {name: side.cells for name, side in sides.items()},
        },
        checks={
            "lens_error": (worst(side.lens_error for side in sides.values()), limit),
            **({"oracle_error": (worst(checks), limit)} if checks else {}),
        },
    )


@dataclass(frozen=True)
class Read:
    """A run's lens, and its logits over the whole vocabulary at the final position."""

    lens: Lens
    logits: Float[Tensor, " vocabulary"]


@dataclass(frozen=True)
class Side:
    """One prompt's run, as it is and patched.

    Attributes:
        lens_error: the largest difference of the lens at its end from the model's own logits.
        checks: the largest difference of the patched lens from that of a whole pass; none if not asked for.
        cells: how many cells were replaced and can change the run.
    """

    own: Read
    patched: Read
    lens_error: float
    checks: tuple[float, ...]
    cells: int


def _side(
    instrument: Instrument,
    pair: Pair,
    name: str,
    patches: Sequence[StreamPatch],
    check: bool,
    progress: Progress,
) -> Side:
    runs = pair.runs(DIRECTIONS[name])
    trace = instrument.trace(runs.base, progress)
    read = _reader(instrument, pair.token_ids)
    depths = range(instrument.shape.layers + 1)
    own = Read(torch.stack([read(stream_of(trace, depth)) for depth in depths]), trace.logits)
    lens_error = float((own.lens[-1, -1] - trace.logits[list(pair.token_ids)]).abs().max())
    nodes = _nodes(instrument, runs, [patch for patch in patches if patch.target == name])
    source = runs.run_source(instrument, progress)
    stream = patched_stream(instrument, runs.base, source, nodes, progress) if nodes else None
    if stream is None:
        return Side(own, own, lens_error, (), 0)
    patched = Read(_lens(own.lens, stream, read), final_logits(instrument, stream.streams[-1, -1:]))
    checks: tuple[float, ...] = ()
    if check:
        whole = whole_patched_stream(instrument, runs.base, source, nodes, progress)
        assert whole is not None  # what changed one changes the other
        checks = (float((_lens(own.lens, whole, read) - patched.lens).abs().max()),)
    (experiment,) = experiments(instrument, runs.base, source, [nodes])
    return Side(own, patched, lens_error, checks, len(experiment.nodes))


def _reader(instrument: Instrument, token_ids: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    return lambda stream: label_logits(instrument, stream, token_ids)


def _lens(own: Lens, stream: PatchedStream, read: Callable[[Tensor], Tensor]) -> Lens:
    """The lens of the patched run: what the patch cannot change is the run's own."""
    lens = own.clone()
    lens[stream.depth :, stream.position :] = torch.stack([read(rows) for rows in stream.streams])
    return lens


def _nodes(instrument: Instrument, runs: Runs, patches: Sequence[StreamPatch]) -> list[Node]:
    """The cells that are replaced in the base run, each once. Raises RequestError for what cannot be."""
    place = {other: position for position, other in enumerate(runs.match) if other is not None}
    cells: dict[Cell, None] = {}
    for patch in patches:
        _check(instrument, patch, len(runs.source), place)
        for layer in range(patch.layers[0], patch.layers[1] + 1):
            for position in range(patch.positions[0], patch.positions[1] + 1):
                cells[Cell(layer + 1, place[position])] = None
    return [(RESIDUAL, cell) for cell in cells]


def _check(instrument: Instrument, patch: StreamPatch, tokens: int, place: Mapping[int, int]) -> None:
    last = instrument.shape.layers - 1
    if patch.layers[1] >= last:
        raise RequestError(
            f"The patch {patch} reaches layer {patch.layers[1]}. After the last layer, {last}, only the answer is "
            f"computed from the residual stream. Choose layers up to {last - 1}; -1 is the embedding."
        )
    if patch.positions[1] >= tokens:
        raise RequestError(
            f"The patch {patch} reaches position {patch.positions[1]}. The {patch.source} prompt has {tokens} tokens, "
            "counted from 0."
        )
    for position in range(patch.positions[0], patch.positions[1] + 1):
        if position not in place:
            raise RequestError(
                f"Position {position} of the {patch.source} prompt has no counterpart in the other prompt: there its "
                "role has another number of tokens. Choose other positions."
            )


def _told(instrument: Instrument, labels: Sequence[str], one: Read) -> dict[str, Any]:
    return {
        "predicted": labels[int(one.lens[-1, -1].argmax())],
        "top_tokens": top_tokens(instrument, log_probabilities(one.logits)),
    }
