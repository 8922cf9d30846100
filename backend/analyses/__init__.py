"""The registry of analyses. A new one is a new file here and one line in `ANALYSES`."""

from backend.analyses.atlas.schema import HEADS
from backend.analyses.attention.schema import ATTENTION
from backend.analyses.attribution.schema import ATTRIBUTION
from backend.analyses.checks.schema import CHECK_MODEL, READINGS, SELF_CHECK
from backend.analyses.circuit.schema import EFFECTS, PATHS
from backend.analyses.cost.schema import cost_of
from backend.analyses.joint.schema import JOINT
from backend.analyses.lens.schema import LENS, PATCHED_LENS
from backend.analyses.mutations.schema import KEY_STEERING, MUTATIONS_ANALYSIS, SWAP_TEST
from backend.analyses.patching.attribution_schema import ATTRIBUTION_PATCHING
from backend.analyses.patching.schema import PATCHING, POSSIBLE_CORRUPTIONS
from backend.analyses.prediction.schema import PREDICTION
from backend.analyses.subspace.schema import COMPRESSION, SUBSPACE
from backend.analyses.sufficiency.schema import SUFFICIENCY
from backend.analyses.task import Findings, Task
from backend.analyses.turn.schema import TURN
from backend.contract.analysis import Analysis
from backend.contract.errors import RequestError, shown

ANALYSES: dict[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        PREDICTION,
        LENS,
        ATTRIBUTION,
        ATTENTION,
        PATCHING,
        EFFECTS,
        HEADS,
        JOINT,
        PATHS,
        SUFFICIENCY,
        ATTRIBUTION_PATCHING,
        POSSIBLE_CORRUPTIONS,
        PATCHED_LENS,
        SUBSPACE,
        COMPRESSION,
        MUTATIONS_ANALYSIS,
        SWAP_TEST,
        KEY_STEERING,
        TURN,
        CHECK_MODEL,
        READINGS,
        SELF_CHECK,
    )
}
COST = cost_of([analysis for analysis in ANALYSES.values() if analysis.cost is not None])
ANALYSES[COST.name] = COST

__all__ = ["ANALYSES", "Analysis", "Findings", "Task", "analysis_named"]


def analysis_named(name: str) -> Analysis:
    """The analysis of that name. Raises RequestError that lists them."""
    if name not in ANALYSES:
        raise RequestError(f"There is no analysis {shown(name)}. Choose one of {', '.join(ANALYSES)}.")
    return ANALYSES[name]
