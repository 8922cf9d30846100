"""Several heads at the final position get their outputs from the corrupted run, in one run of the clean prompt.

Self-repair hides single heads, so that the effect of a set is not the sum of its heads' effects.
"""

import random
from collections.abc import Sequence

import torch

from backend.analyses.findings import array, prompt_scalars
from backend.analyses.heads import chosen_heads
from backend.analyses.joint.schema import JOINT, RECHECKED
from backend.analyses.patching.pairs import pair_scalars, pairs_of
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, Node, Sweep, Wanted, recheck, run_sweep

Set = tuple[HeadRef, ...]


def head_sets(
    heads: Set, shape: tuple[int, int], *, alone: bool, count: int, seed: int
) -> list[tuple[str, Set]]:
    """All together; each alone, if asked for; `count` random sets. `shape` is the number of layers and of heads.

    >>> head_sets((HeadRef(0, 1),), (1, 2), alone=False, count=1, seed=0)
    [('together', (HeadRef(layer=0, head=1),)), ('random', (HeadRef(layer=0, head=0),))]
    """
    sets: list[tuple[str, Set]] = [("together", heads)]
    if alone:
        sets += [("alone", (head,)) for head in heads]
    drawing = random.Random(seed)
    drawn = [random_set(heads, shape, drawing) for _ in range(count)]
    return sets + [("random", one) for one in drawn if one]


def random_set(heads: Set, shape: tuple[int, int], drawing: random.Random) -> Set:
    """For each head another of its layer, none twice and none of `heads`; of any layer where its own has none left."""
    free = [HeadRef(layer, head) for layer in range(shape[0]) for head in range(shape[1])]
    free = [head for head in free if head not in heads]
    drawn: list[HeadRef] = []
    for head in heads:
        left = [other for other in free if other not in drawn]
        same = [other for other in left if other.layer == head.layer]
        if left:
            drawn.append(drawing.choice(same or left))
    return tuple(sorted(drawn, key=lambda one: (one.layer, one.head)))


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The labels' logits and the metric for each set of heads, by one sweep over the final position."""
    values = JOINT.values(task.request)
    heads = chosen_heads(instrument, {"head": None, **values})
    (prompt,) = task.prompts(instrument)
    (pair,) = pairs_of(instrument, task, 0, prompt, values, progress)
    sets = head_sets(
        heads,
        (instrument.shape.layers, instrument.shape.heads),
        alone=values["alone"],
        count=values["random"],
        seed=values["seed"],
    )
    runs = pair.runs("noise")
    final = len(runs.base) - 1
    sweep = Sweep(
        runs.base,
        runs.run_source(instrument, progress),
        [_nodes(replaced, final) for _, replaced in sets],
        Wanted(pair.token_ids, pair.vocabulary),
    )
    swept = run_sweep(instrument, sweep, progress=progress)
    error = recheck(instrument, sweep, swept, count=RECHECKED, progress=progress)
    patched = pair.values(instrument, swept.logits, swept.logsumexp)
    clean, corrupted = pair.unpatched(instrument, progress)
    span = clean - corrupted
    lost = (clean - patched) / span if span else torch.full_like(patched, float("nan"))
    ends = [instrument.trace(ids).logits[list(pair.token_ids)] for ids in (runs.base, runs.source)]
    return Findings(
        arrays={
            "label_logits": array(swept.logits, ("set", "label"), "logits"),
            "label_logits_clean": array(ends[0], ("label",), "logits"),
            "label_logits_corrupted": array(ends[1], ("label",), "logits"),
            "values": array(patched, ("set",), pair.metric.metric.unit),
            "lost": array(lost, ("set",), "share"),
        },
        ticks={"label": prompt.labels},
        scalars={
            **prompt_scalars(prompt),
            **pair_scalars([pair], [(clean, corrupted)]),
            "sets": [{"kind": kind, "heads": [str(head) for head in replaced]} for kind, replaced in sets],
        },
        checks={"oracle_error": (error, tolerance(instrument).logits)},
    )


def _nodes(heads: Sequence[HeadRef], position: int) -> list[Node]:
    return [("z", Cell(head.layer, position, head.head)) for head in heads]
