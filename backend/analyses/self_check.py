"""Whether what we record of a model is what the model does: run when it is loaded, and shown on its page."""

import torch

from backend.analyses.analysis import Analysis, Findings, Task
from backend.analyses.attention import all_final_rows, pattern_error
from backend.analyses.attribution import attribute
from backend.analyses.tolerance import tolerance
from backend.engine.instrument import Instrument
from backend.engine.trace import Trace, trace
from backend.errors import ModelError
from backend.progress import Progress, silent

TEXT = "The capital of France is Paris. The capital of Italy is"

Checks = dict[str, tuple[float, float]]


def self_check(instrument: Instrument, progress: Progress = silent) -> Checks:
    """Figures and their limits on a short prompt.

    `logits_error`: recorded logits against the model's own, called without our hooks. `identity_error`:
    attributions of the four likeliest tokens, summed, against their centred logits. `heads_error`: per-head
    writes, summed, against what attention wrote; `pattern_error`: pattern times values against each head's
    output; the last two as a share of the largest value.
    """
    token_ids = tuple(instrument.tokenizer(TEXT)["input_ids"])
    recorded = trace(instrument.model, instrument.family, token_ids, progress)
    device = instrument.model.get_input_embeddings().weight.device
    with torch.no_grad():
        plain = (
            instrument.model(input_ids=torch.tensor([token_ids], device=device)).logits[0, -1].float().cpu()
        )
    likeliest = tuple(plain.topk(4).indices.tolist())
    limits = tolerance(instrument)
    return {
        "logits_error": (float((recorded.logits - plain).abs().max()), limits.logits),
        "identity_error": (attribute(instrument, recorded, likeliest).identity_error, limits.identity),
        "heads_error": (_heads_error(instrument, recorded), limits.activations),
        "pattern_error": (pattern_error(recorded, all_final_rows(recorded)), limits.activations),
    }


def refuse_failed(name: str, checks: Checks) -> None:
    """Raises ModelError that names every figure over its limit (NaN counts as over)."""
    failed = [
        f"{check} {value:.3g} (limit {limit:g})"
        for check, (value, limit) in checks.items()
        if not value <= limit
    ]
    if failed:
        raise ModelError(
            f"{name} failed its self-check: {', '.join(failed)}. Its numbers could not be trusted, so it is not "
            "used. Try dtype float32 without quantization."
        )


def _heads_error(instrument: Instrument, recorded: Trace) -> float:
    worst = 0.0
    for layer in range(instrument.shape.layers):
        output, offset = instrument.weights.written(layer, recorded.z[layer, -1])
        written = torch.einsum("hd,mhd->m", recorded.z[layer, -1].to(output.device), output)
        written = written if offset is None else written + offset
        own = recorded.attn_out[layer, -1].to(written)
        worst = max(worst, float((written - own).abs().max() / own.abs().max()))
    return worst


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The figures, beside the model's sizes."""
    shape = instrument.shape
    return Findings(
        scalars={
            "family": instrument.model.config.model_type,
            "layers": shape.layers,
            "heads": shape.heads,
            "kv_heads": shape.kv_heads,
            "d_model": shape.d_model,
            "d_head": shape.d_head,
            "vocabulary": shape.vocabulary,
            "max_positions": shape.max_positions,
        },
        checks=self_check(instrument, progress),
    )


SELF_CHECK = Analysis(
    name="self-check",
    version=1,
    summary="whether recorded logits, attributions and patterns equal the model's own",
    takes=("nothing",),
    run=run,
)
