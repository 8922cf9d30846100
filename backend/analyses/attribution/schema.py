"""What the analyses of this folder take and give. No torch."""

from backend.analyses.prompt_scalars import HEAD_OF_ONE, of_answer
from backend.contract.analysis import Analysis, Lazy
from backend.contract.check_spec import IDENTITY, CheckSpec, identity_error
from backend.contract.kinds import Head
from backend.contract.param import Param
from backend.contract.spec import ONE, SEVERAL, WITH_HEAD, ArraySpec, ScalarSpec, When

MIXTURE = When(
    "one question, a mixture of experts", lambda values: None if values["given"] == "question" else False
)

ATTRIBUTION = Analysis(
    name="attribution",
    version=4,
    summary="what each head, MLP (and expert) and the embedding wrote for each label; over several questions, the mean",
    takes=("question", "questions"),
    letters_alike=True,
    run=Lazy("backend.analyses.attribution.attribution", "run"),
    cost=Lazy("backend.analyses.attribution.cost", "attribution"),
    overhead=1.05,
    params=(Param("head", Head(), "split this head by the tokens it reads", usual="none", only="question"),),
    checks=(
        identity_error(),
        CheckSpec(
            "experts_error",
            "the sum of the experts' attributions against that of their MLP",
            IDENTITY,
            MIXTURE,
        ),
        CheckSpec("source_error", "the sum over tokens against the head's attribution", IDENTITY, WITH_HEAD),
    ),
    arrays=(
        ArraySpec("heads", ("layer", "head", "label"), "logits", "what each head wrote for each label", ONE),
        ArraySpec("mlps", ("layer", "label"), "logits", "what each MLP wrote", ONE),
        ArraySpec("embedding", ("label",), "logits", "what the embedding wrote", ONE),
        ArraySpec("bias", ("label",), "logits", "what biases add", ONE),
        ArraySpec(
            "experts",
            ("layer", "expert", "label"),
            "logits",
            "what each routed expert wrote; NaN in layers whose MLP is no mixture",
            MIXTURE,
        ),
        ArraySpec(
            "shared_expert",
            ("layer", "label"),
            "logits",
            "what the expert that every position goes through wrote",
            MIXTURE,
        ),
        ArraySpec("source", ("token", "label"), "logits", "what the head wrote from each token", WITH_HEAD),
        ArraySpec(
            "net",
            ("layer", "head"),
            "logits",
            "net effect on the right label: its logits minus the mean of the other labels'",
            SEVERAL,
            ends=True,
        ),
        ArraySpec("mlp_net", ("layer",), "logits", "the same of each MLP", SEVERAL, ends=True),
    ),
    scalars=(
        *of_answer(ONE),
        HEAD_OF_ONE,
        ScalarSpec("count", "how many questions", when=SEVERAL),
        ScalarSpec("before_cap", "whether the logits are those before a soft cap or a scaling"),
    ),
    interactive=True,
)
