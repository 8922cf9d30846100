"""What the analyses of this folder take and give. No torch."""

from typing import Any

from backend.analyses.prompt_scalars import of_prompt
from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.check_spec import oracle_error
from backend.contract.choices import DIRECTIONS
from backend.contract.components import COMPONENTS
from backend.contract.corruptions import CORRUPTIONS, LABEL
from backend.contract.errors import RequestError
from backend.contract.kinds import BankName, Number, Positions, Word
from backend.contract.metrics import METRICS
from backend.contract.param import Fields, Param, Variants
from backend.contract.spec import ALWAYS, ONE, SEVERAL, ArraySpec, By, ScalarSpec, When

DEFAULT_SECONDS = 3600.0
MOST = 1e9
"""Of seconds 32 years, of megabytes a petabyte."""

OF_METRIC = By(("metric", "kind"), METRICS, "unit")
"""The metric's unit."""
OF_COMPONENT = By(("component",), COMPONENTS, "axes")
"""The component's axes."""
BY_ROLE = By(("component",), COMPONENTS, "role_axes")
"""The same with all positions of a role taken together."""
EACH_BY_ROLE = By(("component",), COMPONENTS, "question_axes")
"""The same for each question."""
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
    "several draws that differ, of one question",
    lambda values: (
        None if values["given"] == "question" and values["corruption"].get("draws", 1) > 1 else False
    ),
)


def _positions_of_one(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    """Raises RequestError for positions of one prompt where several questions are asked."""
    if asked.given == "questions" and isinstance(values["positions"], list):
        raise RequestError(
            'Positions are counted in one prompt. For several questions params.positions must be "all", which takes '
            'the positions of each role together, or "final".'
        )
    return values


PATCHING = Analysis(
    name="patching",
    version=3,
    summary="activation patching of one component over layers, heads and positions, exact and re-checked",
    takes=("question", "questions"),
    letters_alike=True,
    run=Lazy("backend.analyses.patching.patching", "run"),
    cost=Lazy("backend.analyses.patching.cost", "patching"),
    overhead=1.2,
    params=PATCHING_PARAMS,
    rule=_positions_of_one,
    example=PATCHED,
    checks=(oracle_error(),),
    arrays=(
        ArraySpec(
            "values", OF_COMPONENT, OF_METRIC, "the metric with the cell patched, mean over the draws", ONE
        ),
        ArraySpec(
            "recovered",
            OF_COMPONENT,
            "share",
            "(value - corrupted) / (clean - corrupted); NaN where a position has no counterpart",
            ONE,
        ),
        ArraySpec("values_spread", OF_COMPONENT, OF_METRIC, "standard deviation over the draws", DRAWN),
        ArraySpec("recovered_spread", OF_COMPONENT, "share", "standard deviation over the draws", DRAWN),
        ArraySpec(
            "values",
            BY_ROLE,
            OF_METRIC,
            "the metric with the component patched at all positions of a role",
            SEVERAL,
            ends=True,
        ),
        ArraySpec("recovered", BY_ROLE, "share", "the same as a share: a ratio of means", SEVERAL, ends=True),
        ArraySpec(
            "p_value",
            BY_ROLE,
            "probability",
            "how often random signs of the questions change the metric as much, of 2,000",
            SEVERAL,
        ),
        ArraySpec("values_each", EACH_BY_ROLE, OF_METRIC, "the metric of each question", SEVERAL),
        ArraySpec("clean_each", ("question",), OF_METRIC, "each question's clean run", SEVERAL),
        ArraySpec(
            "corrupted_each", ("question",), OF_METRIC, "its corrupted run, mean over the draws", SEVERAL
        ),
    ),
    scalars=(
        *of_prompt(ONE),
        *(spec for spec in pair_scalars(ONE) if spec.name in ("corruption", "draws")),
        *(spec for spec in pair_scalars() if spec.name not in ("corruption", "draws")),
        ScalarSpec("count", "how many questions", when=SEVERAL),
        ScalarSpec("left_out", "how many could not be patched", when=SEVERAL),
        ScalarSpec("reasons", "why not, one sentence each", when=SEVERAL),
        ScalarSpec("positions", "the positions of the clean prompt that were patched", when=ONE),
        ScalarSpec("corrupted_tokens", "the tokens of the first corrupted prompt", when=ONE),
        ScalarSpec("component", "as asked"),
        ScalarSpec("direction", "as asked"),
        ScalarSpec("first_difference", "the first position where the two prompts differ", when=ONE),
        ScalarSpec("cells", "how many cells there are, over all draws", when=ONE),
        ScalarSpec("cells_skipped", "of them those that cannot change anything", when=ONE),
        ScalarSpec(
            "cells_unmatched", "of them those without a counterpart in the corrupted prompt", when=ONE
        ),
        ScalarSpec("engine", "how it was swept: cones, or whole passes", when=ONE),
    ),
)


POSSIBLE_CORRUPTIONS = Analysis(
    name="possible-corruptions",
    version=1,
    summary="which corruptions a question can have: made, but not run",
    takes=("question",),
    run=Lazy("backend.analyses.patching.possible_corruptions", "run"),
    cost=Lazy("backend.analyses.patching.cost", "possible_corruptions"),
    params=(LABEL, Param("bank", BankName(), "where another question is drawn from", default="knowledge")),
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
