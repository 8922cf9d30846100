"""What the analyses of this folder take and give. No torch."""

from backend.analyses.patching.schema import PAIR_PARAMS
from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import additivity_error, identity_error, oracle_error, pattern_error
from backend.contract.kinds import TrueFalse
from backend.contract.param import Param
from backend.contract.spec import ArraySpec, ScalarSpec, When

Figure = tuple[tuple[str, ...], str, str]
"""Axes, unit and meaning."""
GRID, BY_LABEL = ("layer", "head"), ("label", "layer", "head")
BY_SAMPLE: dict[str, Figure] = {
    "label_mass": (GRID, "probability", "attention from the final token to all labels"),
    "right_share": (GRID, "share", "of the attention to labels that to the right one"),
    "label_entropy": (GRID, "share", "entropy of the shares on the labels, as a share of its largest value"),
    "letter_mass": (BY_LABEL, "probability", "attention to all labels where this one is right"),
    "right_label_share": (
        BY_LABEL,
        "share",
        "of the attention to labels that to this one, where it is right",
    ),
    "wrong_label_share": (BY_LABEL, "share", "the same where another one is right"),
    "right_label_top": (
        BY_LABEL,
        "share",
        "of the questions where this label is right, those where none gets more",
    ),
    "last_mass": (GRID, "probability", "attention to the suffix and to the final token"),
    "content": (
        GRID,
        "probability",
        "attention to the right option and its newline, minus the mean of that to a wrong one",
    ),
    "net": (GRID, "logits", "net effect on the right label: its logits minus the mean of the other labels'"),
    "net_right": (BY_LABEL, "logits", "net effect on this label where it is right"),
    "net_wrong": (BY_LABEL, "logits", "the same where another one is right"),
    "leader": (
        GRID,
        "logits",
        "net effect on the label that leads before the layer, both centred over the questions",
    ),
    "total": (GRID, "logits", "total effect of the head at the final token; NaN without effects"),
    "direct": (GRID, "logits", "direct effect, the final norm recomputed; NaN without effects"),
}
"""Figures that classes are told from. They are also given for each half and for the questions answered right."""
FIGURES: dict[str, Figure] = {
    **BY_SAMPLE,
    "indirect": (GRID, "logits", "indirect effect; NaN without effects"),
    "qk_top_right": (
        GRID,
        "share",
        "of questions where the right label's key has the largest product with the final query, without rotation",
    ),
    "entropy": (GRID, "nats", "of the attention from the final token"),
    "roles": (("kind", *GRID), "probability", "attention from the final token to all tokens of a kind"),
    "roles_weighted": (
        ("kind", *GRID),
        "share",
        "the same for attention times the length of what is read there",
    ),
    "induction": (
        GRID,
        "probability",
        "on random tokens given twice: attention to the token after the first copy of this one",
    ),
    "previous_token": (GRID, "probability", "on ordinary text: attention to the token before"),
    "first_token": (GRID, "probability", "on ordinary text: attention to the first token"),
    "text_entropy": (
        GRID,
        "share",
        "on ordinary text: entropy of the attention, as a share of its largest value",
    ),
    "markers": (GRID, "probability", "on an enumeration: attention to its markers, such as 1. and (a)"),
}
OUTSIDE = ("induction", "previous_token", "first_token", "text_entropy", "markers")
QUESTIONS_GRID = ("question", *GRID)
PER_QUESTION: dict[str, Figure] = {
    "right": (("question",), "label", "the right label's index"),
    "predicted": (("question",), "label", "the index of the label with the highest logit"),
    "half": (("question",), "0 or 1", "the half that the question is in"),
    "loss": (("question",), "nats", "of the right label's token"),
    "logits": (("question", "label"), "logits", "the labels' logits; NaN for labels that are not shown"),
    "attention": (
        ("question", "kind", *GRID),
        "probability",
        "attention from the final token to tokens of a kind",
    ),
    "weighted": (("question", "kind", *GRID), "share", "the same, weighted by the length of what is read"),
    "labels": (("question", *BY_LABEL), "probability", "attention from the final token to each label"),
    "written": (("question", *BY_LABEL), "logits", "what the head wrote for each label"),
    "scores": (
        ("question", *BY_LABEL),
        "product",
        "the final query times each label's key, without rotation",
    ),
    "lens": (("question", "label", "layer"), "logits", "the labels' logits read before each layer"),
    "entropy": (QUESTIONS_GRID, "nats", "of the attention from the final token"),
    "total": (QUESTIONS_GRID, "logits", "total effect of each head"),
    "direct": (QUESTIONS_GRID, "logits", "direct effect"),
    "indirect": (QUESTIONS_GRID, "logits", "indirect effect"),
    "mlp_written": (("question", "label", "layer"), "logits", "what each MLP wrote for each label"),
    "mlp_total": (("question", "layer"), "logits", "total effect of each MLP"),
    "mlp_direct": (("question", "layer"), "logits", "direct effect of each MLP"),
    "mlp_indirect": (("question", "layer"), "logits", "indirect effect of each MLP"),
}

SWEPT = When("with `effects`", lambda values: None if values["effects"] else False)

HEADS = Analysis(
    name="heads",
    version=1,
    summary="every head over a bank: attention, attribution, effects, and the class that they speak for",
    takes=("questions",),
    letters_alike=True,
    run=Lazy("backend.analyses.atlas.heads", "run"),
    cost=Lazy("backend.analyses.atlas.cost", "heads"),
    overhead=1.15,
    params=(
        next(param for param in PAIR_PARAMS if param.name == "corruption"),
        Param("effects", TrueFalse(), "also total, direct and indirect effects", default=True),
    ),
    checks=(
        identity_error(),
        pattern_error(),
        oracle_error(SWEPT),
        additivity_error(SWEPT),
    ),
    arrays=(
        *(ArraySpec(name, *figure, ends=name not in OUTSIDE) for name, figure in FIGURES.items()),
        *(
            ArraySpec(f"sample_{name}", ("sample", *axes), unit, f"{meaning}; by sample", ends=True)
            for name, (axes, unit, meaning) in BY_SAMPLE.items()
        ),
        ArraySpec(
            "class",
            ("class", *GRID),
            "0 or 1",
            "whether the class holds in both halves at usual thresholds; of all questions, or of those answered right",
            variants=("", "_right"),
        ),
        ArraySpec(
            "single", BY_LABEL, "0 or 1", "the letter of a single letter head", variants=("", "_right")
        ),
        ArraySpec("fixed", BY_LABEL, "0 or 1", "the letter of a fixed letter head", variants=("", "_right")),
        ArraySpec("negative", GRID, "0 or 1", "writes against the right letter", variants=("", "_right")),
        *(
            ArraySpec(
                f"{'' if len(axes) == 1 else 'questions_'}{name}", axes, unit, f"{meaning}, by question"
            )
            for name, (axes, unit, meaning) in PER_QUESTION.items()
        ),
    ),
    scalars=(
        ScalarSpec("count", "how many questions"),
        ScalarSpec("accuracy", "the share answered right by letter, with its 95 % interval"),
        ScalarSpec("chance", "what guessing would give, also with the model's preference for letters"),
        ScalarSpec("at_chance", "whether the accuracy is not above that, by its interval"),
        ScalarSpec("options", "the mean number of options"),
        ScalarSpec("with_effects", "how many questions have effects"),
        ScalarSpec("without_effects", "stem and reason of each question that could not be corrupted"),
        ScalarSpec(
            "markers_even", "what `markers` is for attention that is spread evenly; null without markers"
        ),
        ScalarSpec("questions", "stem, right and predicted label of each question"),
    ),
)
