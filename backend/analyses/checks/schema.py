"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

CHECK_MODEL = Analysis(
    name="check-model",
    version=2,
    summary="whether the model answers by letter and by content: accuracies, loss, letters predicted, intervals",
    takes=("questions",),
    run=Lazy("backend.analyses.checks.check_model", "run"),
)


READINGS = Analysis(
    name="readings",
    version=1,
    summary="what two models are compared by: label logits, net attribution of heads, some exact patching",
    takes=("questions",),
    run=Lazy("backend.analyses.checks.readings", "run"),
    params=("patched",),
)


SELF_CHECK = Analysis(
    name="self-check",
    version=2,
    summary="whether recorded logits, attributions and patterns equal the model's own",
    takes=("nothing",),
    run=Lazy("backend.analyses.checks.self_check", "run"),
)
