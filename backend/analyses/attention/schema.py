"""What the analyses of this folder take and give. No torch."""

from backend.analyses.prompt_scalars import HEAD_OF_ONE, of_answer
from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import pattern_error
from backend.contract.kinds import Head
from backend.contract.param import Param
from backend.contract.spec import ONE, SEVERAL, WITH_HEAD, ArraySpec, ScalarSpec

ATTENTION = Analysis(
    name="attention",
    version=2,
    summary="where the final token of each head looks, plain and value-weighted, by token and by role",
    takes=("question", "questions"),
    letters_alike=True,
    run=Lazy("backend.analyses.attention.attention", "run"),
    cost=Lazy("backend.analyses.attention.cost", "attention"),
    overhead=1.1,
    params=(Param("head", Head(), "also give this head's whole pattern", usual="none", only="question"),),
    checks=(pattern_error(ONE),),
    arrays=(
        ArraySpec(
            "final", ("layer", "head", "position"), "probability", "attention from the final position", ONE
        ),
        ArraySpec(
            "final_value_weighted",
            ("layer", "head", "position"),
            "norm",
            "the same times the length of what is read there, ||v W_O||",
            ONE,
        ),
        ArraySpec(
            "roles",
            ("layer", "head", "role"),
            "probability",
            "the final position's attention to all tokens of a role; over several questions the mean",
        ),
        ArraySpec("pattern", ("query", "key"), "probability", "the head's attention", WITH_HEAD),
        ArraySpec(
            "right_share",
            ("layer", "head"),
            "share",
            "of the attention to all labels that to the right one, mean",
            SEVERAL,
        ),
        ArraySpec(
            "right_top",
            ("layer", "head"),
            "share",
            "of questions where no token gets more than the right label",
            SEVERAL,
        ),
        ArraySpec(
            "right_top_among_labels",
            ("layer", "head"),
            "share",
            "of questions where no label gets more than the right one",
            SEVERAL,
        ),
    ),
    scalars=(*of_answer(ONE), HEAD_OF_ONE, ScalarSpec("count", "how many questions", when=SEVERAL)),
    interactive=True,
)
