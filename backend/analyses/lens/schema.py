"""What the analyses of this folder take and give. No torch."""

from dataclasses import dataclass
from typing import Any

from backend.analyses.patching.schema import PAIR_PARAMS
from backend.analyses.prompt_scalars import of_answer, of_prompt
from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.check_spec import lens_error, oracle_error
from backend.contract.corruptions import CORRUPTIONS, one_draw
from backend.contract.errors import RequestError, shown
from backend.contract.kinds import Positions, TrueFalse, Whole
from backend.contract.param import Param, Variants
from backend.contract.spec import ArraySpec, ScalarSpec, When
from backend.contract.stream_patch import StreamPatch

MOST_TOP, MOST_PATCHES = 10, 32
CHECKED = When("with `check` and `patches`", lambda values: bool(values["check"] and values["patches"]))
WITH_TOP = When("with `top`", lambda values: values["top"] > 0)
DEPTHS = "depth 0 is the embedding, depth d the residual stream after layer d - 1"


OF_CORRUPTED = When("with `corruption`", lambda values: values["corruption"] is not None)


def _one_if_any(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    return values if values["corruption"] is None else one_draw("lens")(asked, values)


@dataclass(frozen=True)
class StreamPatches:
    """Blocks of the residual stream, each once; their order says nothing."""

    says = (
        f"a list of at most {MOST_PATCHES} blocks, each with from, layers and positions, as in "
        '{"from": "clean", "layers": [3, 5], "positions": [20, 22]}'
    )

    def read(self, where: str, value: object, asked: Asked) -> list[dict[str, Any]]:
        """Sorted, each once. Raises RequestError."""
        if not isinstance(value, list) or len(value) > MOST_PATCHES:
            raise RequestError(f"{where} must be {self.says}, not {shown(value)}.")
        return [patch.to_json() for patch in sorted({StreamPatch.from_json(one) for one in value})]


LENS = Analysis(
    name="lens",
    version=1,
    summary="the logit lens at all layers and positions: what the model would say if it stopped there",
    takes=("question",),
    run=Lazy("backend.analyses.lens.lens", "run"),
    cost=Lazy("backend.analyses.lens.cost", "lens"),
    params=(
        Param("positions", Positions(), "at which positions of the prompt", default="all"),
        Param(
            "top",
            Whole(0, MOST_TOP),
            "how many of the likeliest tokens of the whole vocabulary; with 0 only the labels, which takes less time",
            default=0,
        ),
        Param(
            "corruption",
            Variants("corruption", CORRUPTIONS),
            "a corrupted prompt that is read in place of the question's own",
            usual="none",
        ),
    ),
    rule=_one_if_any,
    checks=(lens_error(),),
    arrays=(
        ArraySpec(
            "label_logits", ("depth", "position", "label"), "logits", f"of the labels' tokens; {DEPTHS}"
        ),
        ArraySpec(
            "label_logprobs",
            ("depth", "position", "label"),
            "nats",
            "their log-probabilities over the whole vocabulary",
            WITH_TOP,
        ),
        ArraySpec("top_ids", ("depth", "position", "top"), "token id", "the likeliest tokens", WITH_TOP),
        ArraySpec("top_logprobs", ("depth", "position", "top"), "nats", "their log-probabilities", WITH_TOP),
    ),
    scalars=(
        *of_answer(),
        ScalarSpec("positions", "the positions that were read, in the order of the axis"),
        ScalarSpec("corruption", "how the corrupted prompt differs, in words", when=OF_CORRUPTED),
        ScalarSpec("texts", "the text of each token in `top_ids`, by its id", when=WITH_TOP),
    ),
)

PATCHED_LENS = Analysis(
    name="patched-lens",
    version=1,
    summary="the logit lens of two prompts at all layers and positions, and with blocks put from one into the other",
    takes=("question",),
    run=Lazy("backend.analyses.lens.patched_lens", "run"),
    cost=Lazy("backend.analyses.lens.cost", "patched_lens"),
    params=(
        PAIR_PARAMS[0],
        Param("patches", StreamPatches(), "what is put from one run into the other", default=[]),
        Param(
            "check",
            TrueFalse(),
            "whether the patched runs are also made as passes of the whole model, and compared",
            default=True,
        ),
    ),
    rule=one_draw("patched-lens"),
    example={"patches": [{"from": "clean", "layers": [0, 0], "positions": [2, 3]}]},
    checks=(
        lens_error(),
        oracle_error(CHECKED),
    ),
    arrays=(
        ArraySpec(
            "label_logits",
            ("label",),
            "logits",
            "what each run says at the final position; `_patched`: with the patches that come from the other run",
            variants=("_clean", "_corrupted", "_clean_patched", "_corrupted_patched"),
        ),
        ArraySpec(
            "lens",
            ("depth", "position", "label"),
            "logits",
            f"the labels' logits of the clean prompt; {DEPTHS}",
            variants=("_clean", "_clean_patched"),
        ),
        ArraySpec(
            "lens",
            ("depth", "corrupted_position", "label"),
            "logits",
            "the same of the corrupted prompt",
            variants=("_corrupted", "_corrupted_patched"),
        ),
    ),
    scalars=(
        *of_prompt(),
        ScalarSpec("corruption", "how the corrupted prompt differs, in words"),
        ScalarSpec("corrupted_tokens", "the tokens of the corrupted prompt"),
        ScalarSpec("corrupted_roles", "what each of them is there for"),
        ScalarSpec(
            "counterparts",
            "for each position of the clean prompt the one of the corrupted prompt with the same role, or null",
        ),
        ScalarSpec(
            "runs",
            "by run (clean, corrupted, clean_patched, corrupted_patched): `predicted`, the label with the highest "
            "logit, and `top_tokens`, the likeliest tokens of all: `token`, `id`, `logprob` in nats",
        ),
        ScalarSpec("cells", "how many cells of each patched run were replaced and can change it, by run"),
    ),
    interactive=True,
)
