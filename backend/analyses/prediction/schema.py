"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

PREDICTION = Analysis(
    name="prediction",
    version=1,
    summary="what the model says: label logits and probabilities, loss, top tokens, logit lens",
    takes=("question",),
    run=Lazy("backend.analyses.prediction.prediction", "run"),
    interactive=True,
)
