"""The registry of analyses. A new one is a new file here and one line in `ANALYSES`."""

from backend.analyses.analysis import Analysis, Findings, Task
from backend.analyses.attention import ATTENTION
from backend.analyses.attribution import ATTRIBUTION
from backend.analyses.attribution_patching import ATTRIBUTION_PATCHING
from backend.analyses.check_model import CHECK_MODEL
from backend.analyses.compression import COMPRESSION
from backend.analyses.cost import COST
from backend.analyses.effects import EFFECTS
from backend.analyses.key_steering import KEY_STEERING
from backend.analyses.mutations import MUTATIONS_ANALYSIS
from backend.analyses.patching import PATCHING, PATCHING_COST
from backend.analyses.paths import PATHS
from backend.analyses.prediction import PREDICTION
from backend.analyses.readings import READINGS
from backend.analyses.self_check import SELF_CHECK
from backend.analyses.subspace import SUBSPACE
from backend.analyses.swap_test import SWAP_TEST
from backend.errors import RequestError, shown

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
