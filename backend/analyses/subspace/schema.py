"""What the analyses of this folder take and give. No torch."""

from typing import Any

from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.check_spec import full_rank_error, oracle_error
from backend.contract.choices import KEY_POSITIONS, QUESTIONS_USED
from backend.contract.errors import RequestError
from backend.contract.kinds import Head, Heads, Numbers, TrueFalse, Whole, Word
from backend.contract.param import Param
from backend.contract.spec import SEVERAL_HEADS, ArraySpec, ScalarSpec, When

RANKS = (0, 1, 2, 3, 4, 6, 8, 16, 32)

HEAD = Param("head", Head(), "the head", usual="none: it is needed")
HEADS = Param(
    "heads",
    Heads(),
    "several heads in place of one: all exchanged in one run, where a higher layer's head projects the query that the "
    "lower ones leave it, and each alone",
    usual="none",
)
RANK = Param("rank", Whole(1), "dimensions of a subspace, at most a head's", default=3)
AT = Param("at", Word(tuple(KEY_POSITIONS)), "at which token of an option its key is read", default="label")
KEEP = Param(
    "keep",
    Word(tuple(QUESTIONS_USED)),
    "all questions, or only those that the model answers right (under mutations: as asked)",
    default="all",
)
SEED = Param("seed", Whole(0, 2**31), "of what is drawn at random", default=0)


def one_head(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    """Raises RequestError where the head is not given."""
    if values["head"] is None:
        raise RequestError(f"{asked.request.analysis} needs params.head, such as [16, 7].")
    return values


def one_or_several_heads(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    """A list of one head is that head. Raises RequestError where not just one of `head` and `heads` is given."""
    heads = values["heads"]
    if heads is None:
        return one_head(asked, values)
    if values["head"] is not None:
        raise RequestError("params.head is for one head and params.heads for several. Give one of them.")
    return values if len(heads) > 1 else {**values, "head": heads[0], "heads": None}


OF_QUESTIONS = (
    ScalarSpec("kept", "how many questions are used"),
    ScalarSpec("wrong", "how many of them the model answers wrong"),
    ScalarSpec("left_out", "each question that cannot be used: its `stem` and the `reason`"),
)
QUESTIONS = ScalarSpec(
    "questions", "each question used: `stem`, `subject`, `answer`, `predicted`, `right`, `item` in its bank"
)
NOTES = ScalarSpec("notes", "where the questions are too few for a rank")

TWO_PLACES = When("more than one right label", lambda values: None)

FIGURES = (
    ("loss", "nats", "loss of the right label"),
    ("accuracy", "share", "share of questions answered right"),
    ("net_logit", "logits", "right label's logit minus the mean of the others'"),
)
KL = ("kl", "nats", "divergence of the head's row of attention from its own, mean over heads")

COMPRESSION = Analysis(
    name="compression",
    version=3,
    summary="loss and accuracy with heads' queries and keys projected onto few dimensions, tested by running it",
    takes=("questions",),
    run=Lazy("backend.analyses.subspace.compression", "run"),
    cost=Lazy("backend.analyses.subspace.cost", "compression"),
    params=(
        HEAD,
        HEADS,
        RANK,
        AT,
        KEEP,
        SEED,
        Param(
            "ranks",
            Numbers("rank", Whole(0)),
            "the ranks that are run",
            usual=f"{', '.join(map(str, RANKS))} as far as they are less than a head's dimensions, and all of these",
        ),
    ),
    rule=one_or_several_heads,
    example={"head": [16, 7]},
    checks=(
        full_rank_error(),
        oracle_error(),
    ),
    arrays=(
        ArraySpec("rank", ("rank",), "dimensions", "the ranks"),
        *(
            ArraySpec(
                name,
                ("rank",),
                unit,
                f"{meaning}, with queries and keys projected; `_q`, `_k`, `_v`: these alone",
                variants=("", "_q", "_k", "_v"),
                ends=True,
            )
            for name, unit, meaning in (*FIGURES, KL)
        ),
        *(
            ArraySpec(f"{name}_random", ("rank", "draw"), unit, f"{meaning}, in random subspaces")
            for name, unit, meaning in (*FIGURES, KL)
        ),
        *(
            ArraySpec(
                name,
                (),
                unit,
                f"{meaning}: of the model as it is, with the head at its mean, and with another question's output",
                variants=("_model", "_ablated", "_resampled"),
                ends=True,
            )
            for name, unit, meaning in FIGURES
        ),
        ArraySpec("label_logits", ("question", "rank", "label"), "logits", "with queries and keys projected"),
        ArraySpec("label_logits_model", ("question", "label"), "logits", "of the model as it is"),
        ArraySpec("right", ("question",), "label", "index of the right label"),
        *(
            ArraySpec(
                f"alone_{name}",
                ("head", "rank"),
                unit,
                f"{meaning}, each head alone",
                SEVERAL_HEADS,
                ends=True,
            )
            for name, unit, meaning in (*FIGURES, KL)
        ),
        *(
            ArraySpec(
                f"alone_{name}",
                ("head",),
                unit,
                f"{meaning}, each head alone at its mean, or from another question",
                SEVERAL_HEADS,
                variants=("_ablated", "_resampled"),
                ends=True,
            )
            for name, unit, meaning in FIGURES
        ),
    ),
    scalars=(
        ScalarSpec("head", "the heads' names"),
        ScalarSpec("heads", "the same as a list"),
        *OF_QUESTIONS,
        NOTES,
        ScalarSpec("rank", "as asked"),
        ScalarSpec(
            "kept_share",
            "of what the head takes off the loss, what is kept at `rank`: (ablated - projected) / (ablated - model); "
            "null where that is not told apart from 0. Against the mean, another question's output, and in random "
            "subspaces",
            "share",
            When("`rank` is among `ranks`", lambda values: None),
            variants=("", "_resampled", "_random", "_random_resampled"),
        ),
        ScalarSpec("alone", "of several heads each one's name and kept shares"),
    ),
)


SUBSPACE = Analysis(
    name="subspace",
    version=2,
    summary="one head's final queries and label keys over many questions, in the few dimensions that hold them",
    takes=("questions",),
    run=Lazy("backend.analyses.subspace.subspace", "run"),
    cost=Lazy("backend.analyses.subspace.cost", "subspace"),
    params=(
        HEAD,
        RANK,
        AT,
        KEEP,
        SEED,
        Param("rotated", TrueFalse(), "queries and keys after the rotary embedding", default=False),
        Param("stacked", TrueFalse(), "one basis for queries and keys", default=False),
    ),
    rule=one_head,
    example={"head": [16, 7]},
    checks=(full_rank_error(),),
    arrays=(
        ArraySpec("q", ("question", "d_head"), "activation", "queries at the final position"),
        ArraySpec("k", ("question", "label", "d_head"), "activation", "keys of the options"),
        ArraySpec("v", ("question", "label", "d_head"), "activation", "values of the options"),
        ArraySpec("q_variance", ("component",), "share", "of the queries' variance along each component"),
        ArraySpec("k_variance", ("component",), "share", "of the keys' variance along each component"),
        ArraySpec("basis", ("component", "d_head"), "direction", "components of the queries"),
        ArraySpec(
            "k_basis", ("component", "d_head"), "direction", "components of the keys; where stacked the same"
        ),
        ArraySpec(
            "points_q", ("question", "component"), "activation", "the queries' first three coordinates"
        ),
        ArraySpec(
            "points_k", ("question", "label", "component"), "activation", "the keys' first three coordinates"
        ),
        ArraySpec("right", ("question",), "label", "index of the right label"),
    ),
    scalars=(
        ScalarSpec("head", "the head's name"),
        ScalarSpec("rank", "as asked"),
        ScalarSpec("labels", "the labels of the first question"),
        QUESTIONS,
        *OF_QUESTIONS,
        ScalarSpec("variance_q3", "of the queries' variance in three components", "share"),
        ScalarSpec("variance_k3", "of the keys' variance in three components", "share"),
        ScalarSpec(
            "separability",
            "of queries whose right label is told from `rank` dimensions, cross-validated; null with one class",
            "share",
        ),
        ScalarSpec("separability", "its 95 % interval", "share", TWO_PLACES, variants=("_low", "_high")),
        ScalarSpec("separability_shuffled", "the same with right labels dealt at random", "share"),
        ScalarSpec("separability_keys", "of keys whose place is told", "share"),
        ScalarSpec("separability_keys", "its 95 % interval", "share", TWO_PLACES, variants=("_low", "_high")),
        ScalarSpec("separability_keys_shuffled", "the same with places dealt at random", "share"),
    ),
)
