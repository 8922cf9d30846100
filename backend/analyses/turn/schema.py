"""What the analysis of this folder takes and gives. No torch."""

from backend.analyses.prompt_scalars import of_prompt
from backend.analyses.subspace.schema import AT, HEAD, SEED, one_head
from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import oracle_error, own_error
from backend.contract.choices import STRONGEST
from backend.contract.kinds import Label, Number, Numbers
from backend.contract.param import Param
from backend.contract.spec import ArraySpec, ScalarSpec

STRENGTHS = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 8, 12)
MOST_STRENGTHS = 41
WAYS = ("key", "query", "random")
RECHECKED = 2
"""How many runs are run again as whole passes."""

TURN = Analysis(
    name="turn",
    version=1,
    summary="the answer to one question when one head's key or query is moved until it reads another label",
    takes=("question",),
    run=Lazy("backend.analyses.turn.turn", "run"),
    cost=Lazy("backend.analyses.turn.cost", "turn"),
    params=(
        HEAD,
        Param("to", Label(), "the label that the head is turned to", usual="the likeliest that is not said"),
        AT,
        SEED,
        Param(
            "strengths",
            Numbers("strength", Number(-STRONGEST, STRONGEST), MOST_STRENGTHS),
            "how many times the difference is added; 1 is the whole difference",
            default=list(STRENGTHS),
        ),
    ),
    rule=one_head,
    example={"head": [16, 7]},
    checks=(
        own_error("key"),
        oracle_error(),
    ),
    arrays=(
        ArraySpec("strength", ("strength",), "differences", "the strengths"),
        ArraySpec(
            "label_logits",
            ("way", "strength", "label"),
            "logits",
            "with the key, the query, or the key in a random direction moved",
        ),
        ArraySpec(
            "attention",
            ("way", "strength", "label"),
            "probability",
            "of the head's final row, at the options' keys",
        ),
        ArraySpec("label_logits_model", ("label",), "logits", "of the model as it is"),
        ArraySpec("attention_model", ("label",), "probability", "of the head as it is"),
        ArraySpec(
            "label_logits_at_all", ("label",), "logits", "with all of the head's attention on the option"
        ),
    ),
    scalars=(
        *of_prompt(),
        ScalarSpec("head", "the head's name"),
        ScalarSpec("predicted", "the label said"),
        ScalarSpec("to", "the label that the head is turned to"),
        ScalarSpec(
            "swapped_predicted", "the label said with the two options swapped, where the query is from"
        ),
        ScalarSpec(
            "key_length",
            "length of the difference of keys",
            "of the keys' mean distance from their mean",
        ),
        ScalarSpec("query_length", "length of the difference of queries", "of the query's own length"),
    ),
    interactive=True,
)
