"""The parameters and results of `effects` and `paths`. No torch."""

from typing import Any

from backend.analyses.patching.schema import OF_METRIC, PAIR_PARAMS, pair_scalars
from backend.analyses.prompt_scalars import of_prompt
from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.check_spec import additivity_error, oracle_error
from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.param import Param
from backend.contract.spec import ONE, SEVERAL, ArraySpec, ScalarSpec, When

KINDS = ("total", "direct", "indirect", "interaction")


class Node:
    """A head, an MLP or the embedding, as an object with one field."""

    says = '{"head": [layer, head]}, {"mlp": layer} or {"embedding": true}'

    def read(self, where: str, value: object, asked: Asked) -> dict[str, Any]:
        """The node with its head as a pair. Raises RequestError."""
        if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {"head", "mlp", "embedding"}:
            raise RequestError(f"{where} must be {self.says}, not {shown(value)}.")
        ((name, given),) = value.items()
        if name == "embedding" and given is not True:
            raise RequestError(f"The embedding is named by true, not {shown(given)}.")
        if name == "mlp" and (type(given) is not int or given < 0):
            raise RequestError(f"An MLP is named by its layer, a whole number from 0, not {shown(given)}.")
        if name == "head":
            head = HeadRef.from_json(given)
            return {"head": [head.layer, head.head]}
        return {name: given}


def _one_end(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    """Raises RequestError unless exactly one end is given, and for the embedding as a receiver."""
    if (values["receiver"] is None) == (values["sender"] is None):
        raise RequestError('paths needs either params.receiver or params.sender, such as {"head": [16, 7]}.')
    if values["receiver"] == {"embedding": True}:
        raise RequestError("The embedding receives nothing. Choose a head or an MLP as params.receiver.")
    return values


EFFECTS = Analysis(
    name="effects",
    version=3,
    summary="total, direct and indirect effect of every head and MLP at the final position, and their interaction",
    takes=("question", "questions"),
    letters_alike=True,
    run=Lazy("backend.analyses.circuit.effects", "run"),
    cost=Lazy("backend.analyses.circuit.cost", "effects"),
    overhead=1.1,
    params=PAIR_PARAMS,
    checks=(
        oracle_error(),
        additivity_error(),
    ),
    arrays=tuple(
        ArraySpec(f"{nodes}_{kind}", axes, OF_METRIC, f"{meaning} of each {node}", when, ends=when is SEVERAL)
        for when in (ONE, SEVERAL)
        for nodes, node, axes in (
            ("heads", "head", ("norm", "layer", "head")),
            ("mlps", "MLP", ("norm", "layer")),
        )
        for kind, meaning in (
            ("total", "m(clean) - m(its output from the corrupted run)"),
            ("direct", "the same where only its write to the final residual stream changes"),
            ("indirect", "the same where all but that write changes"),
            ("interaction", "total - direct - indirect"),
        )
    ),
    scalars=(
        *of_prompt(ONE),
        *(spec for spec in pair_scalars(ONE) if spec.name in ("corruption", "draws")),
        *(spec for spec in pair_scalars() if spec.name not in ("corruption", "draws")),
        ScalarSpec("count", "how many questions", when=SEVERAL),
        ScalarSpec("left_out", "how many could not be corrupted", when=SEVERAL),
    ),
)

INTO = When("into a `receiver`", lambda values: values["receiver"] is not None)
OUT_OF = When("out of a `sender`", lambda values: values["sender"] is not None)

PATHS = Analysis(
    name="paths",
    version=2,
    summary="path patching: who feeds a head's query, keys and values or an MLP, or whom a node feeds",
    takes=("question",),
    run=Lazy("backend.analyses.circuit.paths", "run"),
    cost=Lazy("backend.analyses.circuit.cost", "paths"),
    overhead=1.2,
    params=(
        *PAIR_PARAMS,
        Param("receiver", Node(), "the node whose inputs are looked at", usual="none: a sender is given"),
        Param("sender", Node(), "the node whose readers are looked at", usual="none: a receiver is given"),
    ),
    rule=_one_end,
    example={"receiver": {"head": [16, 7]}},
    checks=(oracle_error(),),
    arrays=(
        ArraySpec(
            "heads",
            ("input", "layer", "head"),
            OF_METRIC,
            "m(clean) - m(path patched): from each head into the receiver's inputs, or from the sender into each "
            "head's; NaN where there is no path",
        ),
        ArraySpec(
            "mlps", ("input", "layer"), OF_METRIC, "the same from each MLP; NaN where there is no path", INTO
        ),
        ArraySpec("embedding", ("input",), OF_METRIC, "the same from the embedding", INTO),
        ArraySpec("whole", ("input",), OF_METRIC, "with the whole input as in the corrupted run", INTO),
        ArraySpec(
            "receiver_mlps",
            ("layer",),
            OF_METRIC,
            "the same from the sender into each MLP; NaN where there is no path",
            OUT_OF,
        ),
    ),
    scalars=(
        *of_prompt(),
        *pair_scalars(),
        ScalarSpec("mode", "receiver or sender"),
        ScalarSpec("node", "its name"),
    ),
)
