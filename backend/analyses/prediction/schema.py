"""What the analyses of this folder take and give. No torch."""

from backend.analyses.prompt_scalars import of_answer
from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import lens_error
from backend.contract.spec import ArraySpec, ScalarSpec

PREDICTION = Analysis(
    name="prediction",
    version=2,
    summary="what the model says: label logits and probabilities, loss, top tokens, logit lens",
    takes=("question",),
    run=Lazy("backend.analyses.prediction.prediction", "run"),
    cost=Lazy("backend.analyses.prediction.cost", "prediction"),
    checks=(lens_error(),),
    arrays=(
        ArraySpec("label_logits", ("label",), "logits", "logits of the labels' tokens"),
        ArraySpec("label_logprobs", ("label",), "nats", "their log-probabilities over the whole vocabulary"),
        ArraySpec("label_probs", ("label",), "probability", "their probabilities among the labels"),
        ArraySpec(
            "lens",
            ("layer", "label"),
            "logits",
            "the labels' logits if the model stopped after each layer (logit lens)",
        ),
    ),
    scalars=(
        *of_answer(),
        ScalarSpec("top_tokens", "the likeliest tokens of all: `token`, `id`, `logprob` in nats"),
    ),
    interactive=True,
)
