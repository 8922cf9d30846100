"""What attribution patching takes and gives. No torch."""

from typing import Any

from backend.analyses.patching.schema import (
    BUDGET,
    COMPONENT,
    DIRECTION,
    OF_METRIC,
    PAIR_PARAMS,
    pair_scalars,
)
from backend.analyses.prompt_scalars import of_prompt
from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.check_spec import oracle_error, pattern_error
from backend.contract.components import COMPONENTS
from backend.contract.errors import RequestError
from backend.contract.kinds import Positions, TrueFalse, Whole
from backend.contract.metrics import METRICS
from backend.contract.param import Fields, Param
from backend.contract.spec import ALWAYS, ArraySpec, ScalarSpec, When

VERIFY = Param(
    "verify",
    Fields(
        (
            COMPONENT,
            Param("top", Whole(0), "how many of the largest estimates", default=20),
            Param("random", Whole(0), "how many of the others, drawn at random", default=20),
            Param("seed", Whole(0), "which others", default=0),
            Param("positions", Positions(listed=False), "at which positions", default="all"),
        )
    ),
    "which cells are also swept exactly",
    usual="none",
)


def _verified(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    """Raises RequestError for what has no slope, and where no cell is to be verified."""
    metric = METRICS[values["metric"]["kind"]]
    if values["direction"] == "noise" and metric.flat_at_clean:
        raise RequestError(
            f"The metric {metric.name} has no slope at the clean run itself, so nothing can be estimated with it in "
            "the direction noise. Choose denoise, or another metric."
        )
    verify = values["verify"]
    if verify is not None and verify["top"] + verify["random"] == 0:
        raise RequestError("params.verify asks for no cells: top and random are both 0.")
    return values


VERIFIED = When("with `verify`", lambda values: values["verify"] is not None)
DROPPED = When("with `grad_drop`", lambda values: values["grad_drop"])
IN_TURN = "a model with attention before the MLP"
IN_TURN_ONLY = When(IN_TURN, lambda values: None)
IN_TURN_DROPPED = When(f"with `grad_drop`, {IN_TURN}", lambda values: values["grad_drop"] and None)

ATTRIBUTION_PATCHING = Analysis(
    name="attribution_patching",
    version=4,
    summary="what patching would change, for every component at once, estimated by gradients and verified in part",
    takes=("question",),
    run=Lazy("backend.analyses.patching.attribution_patching", "run"),
    cost=Lazy("backend.analyses.patching.cost", "attribution_patching"),
    overhead=1.15,
    params=(
        *PAIR_PARAMS,
        DIRECTION,
        Param(
            "qk_fix",
            TrueFalse(),
            "for queries and keys the softmax is computed again, as in AtP* (Kramár et al. 2024)",
            default=True,
        ),
        Param(
            "grad_drop",
            TrueFalse(),
            "also the mean size over backward passes with one layer dropped each, as in AtP*",
            default=False,
        ),
        VERIFY,
        BUDGET,
    ),
    rule=_verified,
    checks=(pattern_error(), oracle_error(VERIFIED)),
    arrays=(
        *(
            ArraySpec(
                component.name,
                component.axes,
                OF_METRIC,
                "estimated change of the metric",
                ALWAYS if component.in_parallel else IN_TURN_ONLY,
            )
            for component in COMPONENTS.values()
        ),
        *(
            ArraySpec(
                f"magnitude_{component.name}",
                component.axes,
                OF_METRIC,
                "mean size of the estimates with one layer dropped",
                DROPPED if component.in_parallel else IN_TURN_DROPPED,
            )
            for component in COMPONENTS.values()
        ),
        ArraySpec("estimated", ("cell",), OF_METRIC, "the estimates of the cells that were swept", VERIFIED),
        ArraySpec("exact", ("cell",), OF_METRIC, "what the sweep found for them", VERIFIED),
    ),
    scalars=(
        *of_prompt(),
        *pair_scalars(),
        ScalarSpec("direction", "as asked"),
        ScalarSpec("first_difference", "the first position where the two prompts differ"),
        ScalarSpec(
            "verified", "each swept cell: layer, head, position, and whether of the top", when=VERIFIED
        ),
        ScalarSpec("spearman", "rank correlation of estimates and exact changes", "correlation", VERIFIED),
        ScalarSpec("pearson", "their linear correlation", "correlation", VERIFIED),
        ScalarSpec("leaders", "how many of the largest exact changes are looked for", when=VERIFIED),
        ScalarSpec("leaders_found", "how many of them are among the largest estimates", when=VERIFIED),
    ),
)
