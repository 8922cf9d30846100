"""What the analyses of this folder take and give. No torch."""

from typing import Any

from backend.analyses.prompt_scalars import of_prompt
from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.choices import DIRECTIONS
from backend.contract.components import COMPONENTS
from backend.contract.corruptions import CORRUPTIONS, LABEL
from backend.contract.errors import RequestError
from backend.contract.kinds import BankName, Number, Positions, TrueFalse, Whole, Word
from backend.contract.metrics import METRICS
from backend.contract.param import Fields, Param, Variants
from backend.contract.spec import ALWAYS, ArraySpec, By, ScalarSpec, When

DEFAULT_SECONDS = 3600.0
MOST = 1e9
"""Of seconds 32 years, of megabytes a petabyte."""

OF_METRIC = By(("metric", "kind"), METRICS, "unit")
"""The metric's unit."""
OF_COMPONENT = By(("component",), COMPONENTS, "axes")
"""The component's axes."""
PAIR_PARAMS = (
    Param(
        "corruption",
        Variants("corruption", CORRUPTIONS),
        "how the corrupted prompt is made",
        default={"kind": "swap_options"},
    ),
    Param(
        "metric", Variants("metric", METRICS), "what an effect is measured by", default={"kind": "net_logit"}
    ),
)
PAIR_DEFAULTS = {
    "corruption": {"kind": "swap_options", "seed": 0, "draws": 1},
    "metric": {"kind": "net_logit"},
}
"""Their values where nothing is asked for."""
DIRECTION = Param(
    "direction",
    Word(tuple(DIRECTIONS)),
    "denoise puts the clean activation into the corrupted run, noise the reverse",
    default="denoise",
)
COMPONENT = Param("component", Word(tuple(COMPONENTS)), "what is patched", default="z")
BUDGET = Param(
    "budget",
    Fields(
        (
            Param(
                "seconds", Number(0, MOST, above=True), "how long a sweep may take", default=DEFAULT_SECONDS
            ),
            Param(
                "megabytes",
                Number(0, MOST, above=True),
                "how much memory it may take",
                usual="a quarter of what is free",
            ),
        )
    ),
    "a sweep that would take more is refused",
    default={},
    usual="an hour, and a quarter of the free memory",
    decides=False,
)
PATCHING_PARAMS = (
    *PAIR_PARAMS,
    COMPONENT,
    DIRECTION,
    Param("positions", Positions(), "which positions of the clean prompt are patched", default="all"),
    BUDGET,
)
PATCHED = {
    "corruption": {"kind": "swap_options"},
    "component": "z",
    "direction": "denoise",
    "metric": {"kind": "logit_difference", "label": "B", "other": "D"},
    "positions": "all",
}
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


def pair_scalars(when: When = ALWAYS) -> tuple[ScalarSpec, ...]:
    """What every result about pairs of one question says of them."""
    return (
        ScalarSpec("metric", "the metric's kind", when=when),
        ScalarSpec("corruption", "the corrupted prompts in words", when=when),
        ScalarSpec("clean", "the metric of the clean run", "the metric's", when),
        ScalarSpec("corrupted", "the metric of the corrupted run, mean over the draws", "the metric's", when),
        ScalarSpec("draws", "each corrupted prompt: `note` in words, `corrupted` its metric", when=when),
    )


DRAWN = When(
    "several draws that differ", lambda values: None if values["corruption"].get("draws", 1) > 1 else False
)
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


PATCHING = Analysis(
    name="patching",
    version=3,
    summary="activation patching of one component over layers, heads and positions, exact and re-checked",
    takes=("question",),
    run=Lazy("backend.analyses.patching.patching", "run"),
    cost=Lazy("backend.analyses.patching.cost", "patching"),
    overhead=1.2,
    params=PATCHING_PARAMS,
    example=PATCHED,
    arrays=(
        ArraySpec("values", OF_COMPONENT, OF_METRIC, "the metric with the cell patched, mean over the draws"),
        ArraySpec(
            "recovered",
            OF_COMPONENT,
            "share",
            "(value - corrupted) / (clean - corrupted); NaN where a position has no counterpart",
        ),
        ArraySpec("values_spread", OF_COMPONENT, OF_METRIC, "standard deviation over the draws", DRAWN),
        ArraySpec("recovered_spread", OF_COMPONENT, "share", "standard deviation over the draws", DRAWN),
    ),
    scalars=(
        *of_prompt(),
        *pair_scalars(),
        ScalarSpec("positions", "the positions of the clean prompt that were patched"),
        ScalarSpec("corrupted_tokens", "the tokens of the first corrupted prompt"),
        ScalarSpec("component", "as asked"),
        ScalarSpec("direction", "as asked"),
        ScalarSpec("first_difference", "the first position where the two prompts differ"),
        ScalarSpec("cells", "how many cells there are, over all draws"),
        ScalarSpec("cells_skipped", "of them those that cannot change anything"),
        ScalarSpec("cells_unmatched", "of them those without a counterpart in the corrupted prompt"),
        ScalarSpec("engine", "how it was swept: cones, or whole passes"),
    ),
)


POSSIBLE_CORRUPTIONS = Analysis(
    name="possible-corruptions",
    version=1,
    summary="which corruptions a question can have: made, but not run",
    takes=("question",),
    run=Lazy("backend.analyses.patching.possible_corruptions", "run"),
    cost=Lazy("backend.analyses.patching.cost", "possible_corruptions"),
    params=(
        LABEL,
        Param("bank", BankName(), "where another question is drawn from", default="knowledge"),
    ),
    scalars=(
        *of_prompt(),
        ScalarSpec(
            "corruptions",
            "each that needs no text of yours: its `kind`, whether it is `possible`, and `says`, how the corrupted "
            "prompt differs, or why there is none",
        ),
    ),
    interactive=True,
)
