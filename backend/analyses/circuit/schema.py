"""What the analyses of this folder take and give. No torch."""

from backend.analyses.patching.schema import PAIR_PARAMS
from backend.contract.analysis import Analysis, Lazy

EFFECTS = Analysis(
    name="effects",
    version=1,
    summary="total, direct and indirect effect of every head and MLP at the final position, and their interaction",
    takes=("question", "questions"),
    run=Lazy("backend.analyses.circuit.effects", "run"),
    params=PAIR_PARAMS,
)


PATHS = Analysis(
    name="paths",
    version=1,
    summary="path patching: who feeds a head's query, keys and values or an MLP, or whom a node feeds",
    takes=("question",),
    run=Lazy("backend.analyses.circuit.paths", "run"),
    params=(*PAIR_PARAMS, "receiver", "sender"),
)
