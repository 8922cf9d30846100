"""What the analysis of this folder takes and gives. No torch."""

from dataclasses import dataclass
from typing import Any

from backend.analyses.circuit.schema import Node
from backend.analyses.patching.schema import OF_METRIC, PAIR_PARAMS
from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.check_spec import LOGITS, CheckSpec, oracle_error
from backend.contract.choices import NODE_ORDERS, REPLACEMENTS
from backend.contract.errors import RequestError, shown
from backend.contract.kinds import Number, Numbers, TrueFalse, Whole, Word
from backend.contract.metrics import METRICS
from backend.contract.param import Param
from backend.contract.spec import ArraySpec, ScalarSpec

MOST_NODES = 4000
USUAL_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128)
MATCHES = {
    "kind": "as many heads and as many MLPs",
    "layer": "as many heads and the same MLPs of each layer",
}
NODE = Node()


@dataclass(frozen=True)
class Nodes:
    """Heads and MLPs, each once: heads from the lowest layer up, then MLPs."""

    says = f'a list of 1 to {MOST_NODES} heads and MLPs, as in ["L16H7", {{"mlp": 20}}]'

    def read(self, where: str, value: object, asked: Asked) -> list[dict[str, Any]]:
        """The same as objects. Raises RequestError."""
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_NODES:
            raise RequestError(f"{where} must be {self.says}, not {shown(value)}.")
        nodes = [NODE.read(where, one if isinstance(one, dict) else {"head": one}, asked) for one in value]
        for node in nodes:
            if "embedding" in node:
                raise RequestError(f"{where} takes heads and MLPs; the embedding cannot be replaced.")
            if nodes.count(node) > 1:
                raise RequestError(f"{where} names {shown(node)} twice. Name each node once.")
        return sorted(nodes, key=lambda node: ("mlp" in node, node.get("head"), node.get("mlp")))


def _given_set(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    """Raises RequestError for a set of one's own with sizes, for several corrupted prompts, and for mixed units."""
    if values["nodes"] is not None and values["sizes"] is not None:
        raise RequestError(
            "params.nodes is a set of one size: leave params.sizes out, or let nodes be sorted."
        )
    if values["held_out"] and values["nodes"] is None:
        raise RequestError(
            "params.held_out goes with params.nodes: sorted sets are always scored on the other half."
        )
    metric = METRICS[values["metric"]["kind"]]
    if values["order"] == "attribution" and not metric.linear:
        raise RequestError(
            f"An attribution is in logits, the metric {metric.name} in {metric.unit}. Choose the metric net_logit, or "
            "another order."
        )
    draws = values["corruption"].get("draws", 1)
    if draws > 1:
        raise RequestError(
            f"sufficiency takes one corrupted prompt a question, not {draws}. Leave draws out."
        )
    return values


SUFFICIENCY = Analysis(
    name="sufficiency",
    version=1,
    summary="how much of the answer the first k heads and MLPs carry: all others replaced, or they themselves",
    takes=("questions",),
    letters_alike=True,
    run=Lazy("backend.analyses.sufficiency.sufficiency", "run"),
    cost=Lazy("backend.analyses.sufficiency.cost", "sufficiency"),
    params=(
        *PAIR_PARAMS,
        Param("replacement", Word(tuple(REPLACEMENTS)), "what replaces a node's output", default="resample"),
        Param(
            "order",
            Word(tuple(NODE_ORDERS)),
            "what nodes are sorted by, on one half of the questions; the other half is scored",
            default="total",
        ),
        Param(
            "nodes",
            Nodes(),
            "a set of your own: nothing is sorted, and all questions are scored unless `held_out`",
            usual="none: the first nodes in the order",
        ),
        Param(
            "held_out",
            TrueFalse(),
            "with `nodes`: only that half of the questions is scored on which no order is made",
            default=False,
        ),
        Param(
            "sizes",
            Numbers("size", Whole(1, MOST_NODES), most=60),
            "how many of the first nodes a set has",
            usual=f"{', '.join(map(str, USUAL_SIZES))} and all, as far as the model has so many",
        ),
        Param("random", Whole(0, 100), "how many random sets of each size", default=20),
        Param(
            "matched", Word(tuple(MATCHES)), "what a random set has in common with the set", default="kind"
        ),
        Param("share", Number(0, 1, above=True), "the share that the smallest set must recover", default=0.8),
        Param("seed", Whole(0), "which random sets are drawn", default=0),
    ),
    rule=_given_set,
    checks=(
        oracle_error(),
        CheckSpec("ends_error", "the run with all nodes replaced against the corrupted run", LOGITS),
    ),
    arrays=(
        ArraySpec("sizes", ("k",), "nodes", "how many nodes each set has"),
        *(
            ArraySpec(name, ("k",), "share", meaning, ends=True)
            for name, meaning in (
                ("sufficiency", "recovered where the set's nodes stay live and all others are replaced"),
                ("sufficiency_fixed", "recovered where the set's nodes hold their clean outputs instead"),
                ("necessity", "lost where the set's nodes are replaced and all others stay live"),
            )
        ),
        *(
            ArraySpec(name, ("k", "draw"), "share", meaning, ends=True)
            for name, meaning in (
                ("random_sufficiency", "as sufficiency, of random sets"),
                ("random_sufficiency_fixed", "as sufficiency_fixed, of random sets"),
            )
        ),
        ArraySpec(
            "singles",
            ("k",),
            "share",
            "the sum of what is lost when each of the set's nodes is replaced alone",
        ),
        ArraySpec(
            "order", ("node",), "index", "the nodes of the largest set: layer x heads + head, then the MLPs"
        ),
        ArraySpec("effect", ("node",), OF_METRIC, "what they were sorted by; NaN for a set of one's own"),
        ArraySpec("cumulative", ("node",), "share", "share of all nodes' sizes of effect, up to each node"),
        *(
            ArraySpec(f"values_{name}", ("question", "k"), OF_METRIC, meaning)
            for name, meaning in (
                ("live", "each scored question's metric, set live"),
                ("fixed", "set held at its clean outputs"),
                ("ablated", "set replaced"),
            )
        ),
        ArraySpec("values_clean", ("question",), OF_METRIC, "the metric of each scored question's own run"),
        ArraySpec("values_empty", ("question",), OF_METRIC, "the metric with all nodes replaced"),
    ),
    scalars=(
        ScalarSpec("metric", "the metric's kind"),
        ScalarSpec("nodes", "the names of the nodes in their order"),
        ScalarSpec("count", "how many questions were scored"),
        ScalarSpec("sorted_on", "how many other questions the order was made on"),
        ScalarSpec("left_out", "how many questions could not be used"),
        ScalarSpec("reasons", "why not, one sentence each"),
        ScalarSpec("clean", "the mean metric of the questions' own runs", "the metric's"),
        ScalarSpec("empty", "the mean metric with all nodes replaced", "the metric's"),
        ScalarSpec(
            "smallest",
            "the smallest live set tried that recovers the chosen share: size, nodes, value, low, high; or nothing",
        ),
        ScalarSpec("smallest_fixed", "the same with the set held at its clean outputs"),
    ),
)
