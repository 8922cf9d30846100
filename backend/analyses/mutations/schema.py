"""What the analyses of this folder take and give. No torch."""

from backend.analyses.subspace.schema import (
    AT,
    HEAD,
    HEADS,
    KEEP,
    NOTES,
    OF_QUESTIONS,
    QUESTIONS,
    RANK,
    SEED,
    one_head,
    one_or_several_heads,
)
from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import oracle_error, own_error
from backend.contract.choices import STRONGEST
from backend.contract.kinds import Number, Numbers, Word
from backend.contract.param import Param
from backend.contract.spec import ONE_HEAD, SEVERAL_HEADS, ArraySpec, ScalarSpec

STRENGTHS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
MOST_STRENGTHS = 41
FITTED_ON = ("same", "all")
OTHER_ANSWERS = "of questions and options that are not the model's own letter"

KEY_STEERING = Analysis(
    name="key-steering",
    version=1,
    summary="whether the answer follows when one option's key is moved along a head's right-answer direction",
    takes=("questions",),
    run=Lazy("backend.analyses.mutations.key_steering", "run"),
    cost=Lazy("backend.analyses.mutations.cost", "key_steering"),
    params=(
        HEAD,
        AT,
        KEEP,
        SEED,
        Param(
            "strengths",
            Numbers("strength", Number(-STRONGEST, STRONGEST), MOST_STRENGTHS),
            "how many times the right-answer direction is added to the key: over other questions the mean key at the "
            "right label minus that at the wrong ones",
            default=list(STRENGTHS),
        ),
        Param(
            "fitted_on",
            Word(FITTED_ON),
            "the other questions: those with the steered question's right label, or all, where the direction nearly "
            "vanishes if right labels are balanced",
            default="same",
        ),
    ),
    rule=one_head,
    example={"head": [16, 7]},
    checks=(
        own_error("key"),
        oracle_error(),
    ),
    arrays=(
        ArraySpec("strength", ("strength",), "differences of means", "the strengths"),
        ArraySpec(
            "label_logits", ("question", "option", "strength", "label"), "logits", "with the option steered"
        ),
        ArraySpec("label_logits_model", ("question", "label"), "logits", "of the model as it is"),
        ArraySpec(
            "attention",
            ("question", "option", "strength", "label"),
            "probability",
            "of the head's final row, at the options' keys",
        ),
        ArraySpec("attention_model", ("question", "label"), "probability", "the same as it is"),
        ArraySpec("right", ("question",), "label", "index of the right label"),
        ArraySpec("predicted", ("question",), "label", "index of the label that the model says"),
        *(
            ArraySpec(
                name,
                ("strength",),
                unit,
                f"{meaning}; `_random`: along a random direction of the same length",
                variants=("", "_random"),
                ends=True,
            )
            for name, unit, meaning in (
                ("flipped", "share", f"{OTHER_ANSWERS}, whose letter becomes the steered option's"),
                ("left", "share", "of questions steered at the model's own letter, it says another"),
                ("steered_attention", "probability", f"{OTHER_ANSWERS}, attention to the steered one"),
                ("logit_rise", "logits", f"{OTHER_ANSWERS}, rise of its logit over the mean of the others"),
            )
        ),
        ArraySpec(
            "flipped_at_all",
            (),
            "share",
            "flipped where the head attends to nothing but the option",
            ends=True,
        ),
    ),
    scalars=(
        ScalarSpec("head", "the head's name"),
        ScalarSpec("fitted_on", "as asked"),
        ScalarSpec("labels", "the labels of the first question"),
        QUESTIONS,
        *OF_QUESTIONS,
        ScalarSpec(
            "direction_length", "mean length of the direction", "of the keys' mean distance from their mean"
        ),
    ),
)


OF_CONDITION = (
    ("loss", "nats", "loss of the right label"),
    ("accuracy", "share", "share of questions answered right"),
)
LOOKED = (
    ("right_share", "of the head's attention to labels, that to the right one"),
    (
        "letter_share",
        "that to the letter that usually stands there, over the questions whose labels have it; NaN where none have",
    ),
    ("right_top", "of questions where no token gets more than the right label"),
)

MUTATIONS_ANALYSIS = Analysis(
    name="mutations",
    version=2,
    summary="loss and accuracy under label mutations, of the whole model and with heads ablated or of low rank",
    takes=("questions",),
    run=Lazy("backend.analyses.mutations.mutations", "run"),
    cost=Lazy("backend.analyses.mutations.cost", "mutations"),
    params=(HEAD, HEADS, RANK, AT, KEEP, SEED),
    rule=one_or_several_heads,
    example={"head": [16, 7]},
    checks=(oracle_error(),),
    arrays=(
        *(
            ArraySpec(name, ("mutation", "condition"), unit, meaning, ends=True)
            for name, unit, meaning in OF_CONDITION
        ),
        ArraySpec(
            "transfer",
            ("fitted", "mutation"),
            "nats",
            "loss with low-rank queries and keys fitted under one mutation, run under another",
        ),
        *(ArraySpec(name, ("mutation",), "share", meaning, ONE_HEAD, ends=True) for name, meaning in LOOKED),
        *(
            ArraySpec(
                f"alone_{name}",
                ("head", "mutation", "condition"),
                unit,
                f"{meaning}, each head alone",
                SEVERAL_HEADS,
                ends=True,
            )
            for name, unit, meaning in OF_CONDITION
        ),
        ArraySpec(
            "alone_transfer",
            ("head", "fitted", "mutation"),
            "nats",
            "transfer, each head alone",
            SEVERAL_HEADS,
        ),
        *(
            ArraySpec(f"alone_{name}", ("head", "mutation"), "share", meaning, SEVERAL_HEADS, ends=True)
            for name, meaning in LOOKED
        ),
    ),
    scalars=(
        ScalarSpec("head", "the heads' names"),
        ScalarSpec("heads", "the same as a list"),
        ScalarSpec("rank", "as asked"),
        ScalarSpec("kept", "how many questions are used, with the first mutation"),
        ScalarSpec(
            "mutations",
            "each mutation used: `name`, `title`, `example` prompt, `kept`, `wrong`, and the questions `left_out`",
        ),
        ScalarSpec("conditions", "each condition's `name` and `title`"),
        ScalarSpec("left_out", "each mutation that cannot be used: its `name` and the `reason`"),
        NOTES,
    ),
)


SWAP_TEST = Analysis(
    name="swap-test",
    version=3,
    summary="whether one head's query follows the n-th item or the letter, where the two are different places",
    takes=("questions",),
    run=Lazy("backend.analyses.mutations.swap_test", "run"),
    cost=Lazy("backend.analyses.mutations.cost", "swap_test"),
    params=(HEAD, KEEP, SEED),
    rule=one_head,
    example={"head": [16, 7]},
    checks=(
        own_error("query"),
        oracle_error(),
    ),
    arrays=(
        ArraySpec(
            "follows",
            ("question",),
            "share",
            "with another question's query, attention to its right place and its right letter, of that to all labels",
            variants=("_place", "_letter"),
        ),
        ArraySpec(
            "before",
            ("question",),
            "share",
            "the same with the prompt's own query",
            variants=("_place", "_letter"),
        ),
        ArraySpec(
            "answer",
            ("question",),
            "logits",
            "rise of these labels' logits over the mean of all labels",
            variants=("_place", "_letter"),
        ),
        ArraySpec(
            "index_by_question",
            ("question",),
            "index",
            "(place - letter) / (place + letter) of the attention",
        ),
    ),
    scalars=(
        ScalarSpec("head", "the head's name"),
        ScalarSpec("index", "its mean: 1 follows the n-th item, -1 the letter"),
        ScalarSpec("low", "low end of its 95 % interval"),
        ScalarSpec("high", "high end"),
        ScalarSpec("sentence", "how to read it"),
        ScalarSpec("answer", "mean rises", "logits", variants=("_place", "_letter")),
        QUESTIONS,
        *OF_QUESTIONS,
    ),
)
