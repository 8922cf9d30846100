"""Which heads and MLPs at the final position are enough for the answer (Lieberum et al. 2023 name 45 such nodes).

Nodes are sorted by their effect on one half of the questions. On the other half the first k are kept while all others
are replaced (sufficiency), or are replaced while all others stay (necessity). Kept nodes are read in two ways: *live*,
computed from what the replaced nodes leave, or *fixed* at the outputs of the question's own run. The definitions and
the random sets beside them are ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backend.analyses.findings import array
from backend.analyses.intervals import letters_alike
from backend.analyses.sufficiency.bank import Used, used_questions, with_means
from backend.analyses.sufficiency.curves import halves
from backend.analyses.sufficiency.order import EFFECTS_BY
from backend.analyses.sufficiency.schema import SUFFICIENCY, USUAL_SIZES
from backend.analyses.sufficiency.sets import kept_fixed, kept_live
from backend.analyses.sufficiency.table import Sorted, Table
from backend.analyses.task import Findings, Task
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import check_rows


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The curves over sets of growing size, or one set of one's own."""
    values = SUFFICIENCY.values(task.request)
    check_rows(instrument)
    used, left_out = used_questions(instrument, task, values, progress)
    if not used:
        raise RequestError(f"None of the questions can be used. The first: {left_out[0]}")
    if values["replacement"] != "resample":
        used = with_means(used, values["replacement"] == "mean_by_letter")
    chosen = _sorted(instrument, used, values, progress)
    sizes = _sizes(values, len(chosen.nodes))
    table = Table(instrument, chosen, sizes, values, progress)
    names = [node_name(instrument, node) for node in chosen.nodes[: sizes[-1]]]
    return Findings(
        arrays={**table.arrays(), **_of_order(chosen, sizes[-1], table.unit)},
        scalars={
            "metric": used[0].metric.metric.name,
            "nodes": names,
            "count": len(chosen.scored),
            "sorted_on": chosen.sorted_on,
            "left_out": len(left_out),
            "reasons": left_out,
            "clean": float(table.weights @ table.clean),
            "empty": float(table.weights @ table.empty),
            "smallest": table.smallest(values["share"], kept_live, names),
            "smallest_fixed": table.smallest(values["share"], kept_fixed, names),
        },
        checks=table.checks(),
    )


def node_name(instrument: Instrument, node: int) -> str:
    """A node's name: L16H7 or MLP 20."""
    heads = instrument.shape.heads
    layer, head = divmod(node, heads)
    if layer < instrument.shape.layers:
        return str(HeadRef(layer, head))
    return f"MLP {node - instrument.shape.layers * heads}"


def _sorted(
    instrument: Instrument, used: Sequence[Used], values: Mapping[str, Any], progress: Progress
) -> Sorted:
    """Raises RequestError for a node that the model does not have, and for a single question."""
    own = values["nodes"] is not None
    nodes = [_index(instrument, node) for node in values["nodes"]] if own else []
    if own and not values["held_out"]:
        return Sorted(nodes, np.full(len(nodes), np.nan), [*used], 0)
    first, second = halves([one.right for one in used])
    if not second:
        raise RequestError(
            "Nodes are sorted on one half of the questions and scored on the other, and there is only one that can be "
            "used. Take more questions."
        )
    scored = [used[number] for number in second]
    if own:
        return Sorted(nodes, np.full(len(nodes), np.nan), scored, 0)
    sorting = [used[number] for number in first]
    effects = EFFECTS_BY[values["order"]](instrument, sorting, progress).numpy()
    mean = letters_alike([one.right for one in sorting]) @ effects
    order = np.argsort(-np.abs(mean), kind="stable")
    return Sorted(order.tolist(), mean[order], scored, len(sorting))


def _index(instrument: Instrument, node: Mapping[str, Any]) -> int:
    shape = instrument.shape
    layer, head = node["head"] if "head" in node else (node["mlp"], 0)
    if layer >= shape.layers or head >= shape.heads:
        name = HeadRef(layer, head) if "head" in node else f"MLP {layer}"
        raise RequestError(
            f"There is no {name}: {instrument.resolved.name} has layers 0 to {shape.layers - 1} "
            f"and heads 0 to {shape.heads - 1}."
        )
    return int(layer * shape.heads + head if "head" in node else shape.layers * shape.heads + layer)


def _sizes(values: Mapping[str, Any], nodes: int) -> list[int]:
    if values["nodes"] is not None:
        return [nodes]
    if values["sizes"] is None:
        return [*(size for size in USUAL_SIZES if size < nodes), nodes]
    sizes = [int(size) for size in values["sizes"]]
    if sizes[-1] > nodes:
        raise RequestError(
            f"A set of {sizes[-1]} nodes is too large: the model has {nodes} heads and MLPs together."
        )
    return sizes


def _of_order(chosen: Sorted, largest: int, unit: str) -> dict[str, Any]:
    return {
        "order": array(np.array(chosen.nodes[:largest]), ("node",), "index"),
        "effect": array(chosen.effects[:largest], ("node",), unit),
        "cumulative": array(chosen.cumulative[:largest], ("node",), "share"),
    }
