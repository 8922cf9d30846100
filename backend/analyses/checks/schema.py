"""What the analyses of this folder take and give. No torch."""

from dataclasses import replace

from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import (
    ACTIVATIONS,
    LOGITS,
    CheckSpec,
    identity_error,
    oracle_error,
    pattern_error,
)
from backend.contract.kinds import Whole
from backend.contract.param import Param
from backend.contract.spec import ArraySpec, ScalarSpec, When

ACCURACY = "with its 95 % interval: `value`, `low`, `high`"

CHECK_MODEL = Analysis(
    name="check-model",
    version=3,
    summary="whether the model answers by letter and by content: accuracies, loss, letters predicted, intervals",
    takes=("questions",),
    run=Lazy("backend.analyses.checks.check_model", "run"),
    cost=Lazy("backend.analyses.checks.cost", "check_model"),
    overhead=1.1,
    arrays=(
        ArraySpec("letters_predicted", ("label",), "share", "how often the model says each label"),
        ArraySpec("letters_right", ("label",), "share", "how often each label is right"),
        ArraySpec("loss_by_question", ("question",), "nats", "loss of the right label"),
        ArraySpec("label_correct", ("question",), "0 or 1", "whether the right label is the likeliest"),
        ArraySpec(
            "content_correct", ("question",), "0 or 1", "whether the right option's text is the likeliest"
        ),
    ),
    scalars=(
        ScalarSpec("count", "how many questions"),
        ScalarSpec("chance", "accuracy of guessing", "share"),
        ScalarSpec(
            "chance_by_label", "accuracy of its letters if they had nothing to do with the questions", "share"
        ),
        ScalarSpec("label_accuracy", f"accuracy by label {ACCURACY}", "share"),
        ScalarSpec("content_accuracy", f"accuracy by the options' texts {ACCURACY}", "share"),
        ScalarSpec("loss", f"mean loss {ACCURACY}", "nats"),
        ScalarSpec("go", "whether label accuracy is above chance by its interval"),
        ScalarSpec("verdict", "the same in words"),
    ),
)


PATCHED = When("with `patched`", lambda values: None)

READINGS = Analysis(
    name="readings",
    version=2,
    summary="what two models are compared by: label logits, net attribution of heads, some exact patching",
    takes=("questions",),
    run=Lazy("backend.analyses.checks.readings", "run"),
    cost=Lazy("backend.analyses.checks.cost", "readings"),
    overhead=1.05,
    params=(Param("patched", Whole(0), "how many questions are also patched, from the first", default=3),),
    checks=(
        identity_error(),
        oracle_error(PATCHED),
    ),
    arrays=(
        ArraySpec("label_logits", ("question", "label"), "logits", "NaN where a question has fewer options"),
        ArraySpec("right", ("question",), "label", "index of the right label"),
        ArraySpec("predicted", ("question",), "label", "index of the label that the model says"),
        ArraySpec("loss_by_question", ("question",), "nats", "loss of the right label"),
        ArraySpec(
            "net", ("question", "layer", "head"), "logits", "net effect of each head on the right label"
        ),
        ArraySpec(
            "patched",
            ("patched", "layer", "head"),
            "logits",
            "net logit of the right label with the head's clean output in the run with two options swapped; NaN where "
            "nothing was patched",
        ),
    ),
    scalars=(
        ScalarSpec("count", "how many questions"),
        ScalarSpec("patched_questions", "how many of them were patched"),
        ScalarSpec("left_out", "how many could not be corrupted"),
        ScalarSpec("accuracy", f"accuracy by label {ACCURACY}", "share"),
        ScalarSpec("loss", f"mean loss {ACCURACY}", "nats"),
        ScalarSpec("weight_bytes", "size of the weights", "bytes"),
        ScalarSpec("prompts", "digest of all prompts, by which two results are known to be of the same"),
    ),
)


# The name, what is compared, and the limit, as in the table of docs/methods.md.
SELF_CHECKS = (
    CheckSpec("logits_error", "recorded logits against the model's own, without our hooks", LOGITS),
    CheckSpec(
        "readout_error", "final norm and unembedding of the last residual stream against the logits", LOGITS
    ),
    identity_error(),
    CheckSpec(
        "residual_error", "attention + MLP + residual stream against the next residual stream", ACTIVATIONS
    ),
    CheckSpec("heads_error", "the sum of the heads against the attention layer's output", ACTIVATIONS),
    pattern_error(),
    CheckSpec(
        "rotary_error", "directions at the first token before and after the rotary embedding", ACTIVATIONS
    ),
)
ROUNDED = When("weights not in float32; of a few layers in float32", lambda values: None)

SELF_CHECK = Analysis(
    name="self-check",
    version=3,
    summary="whether recorded logits, attributions and patterns equal the model's own",
    takes=("nothing",),
    run=Lazy("backend.analyses.checks.self_check", "run"),
    cost=Lazy("backend.analyses.checks.cost", "self_check"),
    overhead=1.1,
    checks=(
        *SELF_CHECKS,
        *(replace(check, name=f"float32_{check.name}", when=ROUNDED) for check in SELF_CHECKS),
    ),
    scalars=(
        ScalarSpec("family", "the model's type"),
        ScalarSpec("by_structure", "whether its type is not known and it is read by its structure"),
        ScalarSpec(
            "layer_by_layer", "whether its layers can be called alone, which fast patching and paths need"
        ),
        ScalarSpec("layers", "how many layers"),
        ScalarSpec("heads", "how many heads a layer has"),
        ScalarSpec("kv_heads", "how many heads of keys and values a layer has"),
        ScalarSpec("d_model", "width of the residual stream"),
        ScalarSpec("d_head", "width of a head"),
        ScalarSpec("vocabulary", "how many tokens there are"),
        ScalarSpec("max_positions", "how long a prompt may be"),
    ),
)
