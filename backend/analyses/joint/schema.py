"""What the analysis of this folder takes and gives. No torch."""

from backend.analyses.patching.schema import OF_METRIC, PAIR_PARAMS, pair_scalars
from backend.analyses.prompt_scalars import of_prompt
from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import oracle_error
from backend.contract.corruptions import one_draw
from backend.contract.kinds import Heads, TrueFalse, Whole
from backend.contract.param import NEEDED, Param
from backend.contract.spec import ArraySpec, ScalarSpec

MOST_RANDOM = 200
RECHECKED = 2
"""How many sets are run again as whole passes."""


JOINT = Analysis(
    name="joint-patching",
    version=1,
    summary="the answer when several heads are replaced together, each alone, and random heads of the same layers",
    takes=("question",),
    run=Lazy("backend.analyses.joint.joint", "run"),
    cost=Lazy("backend.analyses.joint.cost", "joint"),
    params=(
        *PAIR_PARAMS,
        Param("heads", Heads(), "the heads whose final outputs come from the corrupted run", default=NEEDED),
        Param("alone", TrueFalse(), "also each of them alone", default=False),
        Param(
            "random",
            Whole(0, MOST_RANDOM),
            "how many sets of other heads are replaced too, each with as many heads of the same layers",
            default=0,
        ),
        Param("seed", Whole(), "which random heads are drawn", default=0),
    ),
    rule=one_draw("joint-patching"),
    example={"heads": [[1, 2], [0, 1]]},
    checks=(oracle_error(),),
    arrays=(
        ArraySpec(
            "label_logits", ("set", "label"), "logits", "the labels' logits with a set of heads replaced"
        ),
        ArraySpec("label_logits_clean", ("label",), "logits", "of the model as it is"),
        ArraySpec("label_logits_corrupted", ("label",), "logits", "of the corrupted run"),
        ArraySpec("values", ("set",), OF_METRIC, "the metric with a set of heads replaced"),
        ArraySpec(
            "lost", ("set",), "share", "(clean - value) / (clean - corrupted); NaN where both are equal"
        ),
    ),
    scalars=(
        *of_prompt(),
        *pair_scalars(),
        ScalarSpec("sets", "each set: its `kind` (together, alone or random) and its `heads`"),
    ),
    interactive=True,
)
