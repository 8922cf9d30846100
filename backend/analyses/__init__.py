"""The registry of analyses. A new one is a new file here and one line in `ANALYSES`."""

from backend.analyses.analysis import Analysis, Findings, Task
from backend.analyses.attention.attention import ATTENTION
from backend.analyses.attribution.attribution import ATTRIBUTION
from backend.analyses.checks.check_model import CHECK_MODEL
from backend.analyses.checks.readings import READINGS
from backend.analyses.checks.self_check import SELF_CHECK
from backend.analyses.circuit.effects import EFFECTS
from backend.analyses.circuit.paths import PATHS
from backend.analyses.cost.cost import COST
from backend.analyses.mutations.key_steering import KEY_STEERING
from backend.analyses.mutations.mutations import MUTATIONS_ANALYSIS
from backend.analyses.mutations.swap_test import SWAP_TEST
from backend.analyses.patching.attribution_patching import ATTRIBUTION_PATCHING
from backend.analyses.patching.patching import PATCHING, PATCHING_COST
from backend.analyses.prediction.prediction import PREDICTION
from backend.analyses.subspace.compression import COMPRESSION
from backend.analyses.subspace.subspace import SUBSPACE
from backend.contract.errors import RequestError, shown

ANALYSES: dict[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        PREDICTION,
        ATTRIBUTION,
        ATTENTION,
        PATCHING,
        PATCHING_COST,
        EFFECTS,
        PATHS,
        ATTRIBUTION_PATCHING,
        SUBSPACE,
        COMPRESSION,
        MUTATIONS_ANALYSIS,
        SWAP_TEST,
        KEY_STEERING,
        CHECK_MODEL,
        READINGS,
        SELF_CHECK,
        COST,
    )
}

__all__ = ["ANALYSES", "Analysis", "Findings", "Task", "analysis_named"]


def analysis_named(name: str) -> Analysis:
    """The analysis of that name. Raises RequestError that lists them."""
    if name not in ANALYSES:
        raise RequestError(f"There is no analysis {shown(name)}. Choose one of {', '.join(ANALYSES)}.")
    return ANALYSES[name]
