"""Whether what we record of a model is what the model does: run when it is loaded, and shown on its page."""

from math import isnan

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from backend.analyses.attention.attention import all_final_rows, pattern_error
from backend.analyses.attribution.attribution import attribute
from backend.analyses.checks.layers_alone import layers_run_alone
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import FLOAT32, tolerance, worst
from backend.contract.errors import LetterheadsError, ModelError, shown
from backend.contract.progress import Progress, silent
from backend.engine.finite import not_finite
from backend.engine.float32_layers import float32_layers, groups_that_fit, telling_layers
from backend.engine.instrument import Instrument
from backend.engine.recording import refuse_unknown_tokens, trace
from backend.engine.trace import Trace
from backend.models.memory import is_out_of_memory
from backend.models.placement import device_of
from backend.questions.encoding import encode

TEXT = "The capital of France is Paris. The capital of Italy is"
MOST_TOKENS = 10
"""For each character of the text. Bytes are four at most, and a token is at least one byte."""

FLOAT32_PREFIX = "float32_"
"""Begins the names of the figures of some layers in float32."""

Checks = dict[str, tuple[float, float]]


def self_check(instrument: Instrument, progress: Progress = silent) -> Checks:
    """Figures and their limits on a short prompt.

    - `logits_error`: recorded logits against the model's own, called without our hooks.
    - `readout_error`: the last residual stream through final norm and unembedding, against the logits.
    - `identity_error`: attributions of the four likeliest tokens, summed, against their centred logits.
    - `residual_error`: what attention and MLP add, summed, against what the residual stream becomes.
    - `heads_error`: per-head writes, summed, against what attention adds.
    - `pattern_error`: pattern times values against each head's output.
    - `rotary_error`: at the first position, where nothing is turned, the directions of queries and keys as recorded
      against those that attention used.

    The last four are a share of the largest value. In another dtype than float32, or quantized, these are figures of
    rounding and have wide limits. The same figures of some layers in float32 then follow, named `float32_...`, with
    float32's limits: a part that is not what it was taken for does not pass as rounding.

    Raises ModelError where a weight is no number, where the model does not run, or where one that is tried by structure
    cannot be recorded; ResourceError where there is no memory for a layer in float32.
    """
    _refuse_not_finite(instrument, unread_only=True)
    token_ids = encode(instrument.tokenizer, TEXT, special=True).ids
    if len(token_ids) > MOST_TOKENS * len(TEXT):
        raise ModelError(
            f"The tokenizer of {instrument.resolved.name} makes {len(token_ids):,} tokens of a text of {len(TEXT)} "
            "characters, so that it belongs to no model. Fetch the model again, or choose another."
        )
    refuse_unknown_tokens(instrument.shape, token_ids)
    try:
        checks = _checks(instrument, token_ids, progress)
        checks |= _structure(instrument, token_ids, progress)
    except LetterheadsError:
        raise
    except Exception as error:
        if instrument.family.listed or is_out_of_memory(error):
            raise
        raise ModelError(
            f"Models of type {shown(instrument.shape.model_type)} are not known, and by its structure this one cannot "
            f"be recorded: {shown(str(error), 200)}. Choose another model."
        ) from error
    if any(isnan(value) for value, _ in checks.values()):
        _refuse_not_finite(instrument, unread_only=False)
    return checks


def _refuse_not_finite(instrument: Instrument, *, unread_only: bool) -> None:
    name = not_finite(instrument.model, unread_only=unread_only)
    if name is not None:
        raise ModelError(
            f"The weight {name} of {instrument.resolved.name} holds NaN or infinity, so that its answers would "
            "mean nothing. Fetch the model again, or try another dtype: some weights are too large for float16."
        )


def _structure(instrument: Instrument, token_ids: tuple[int, ...], progress: Progress) -> Checks:
    """The largest of each figure over a few layers in float32 (see `backend/engine/float32_layers.py`).

    None for a model that is in float32 itself. Of one that is known by structure only, the family is told whether its
    layers can be called alone.
    """
    model, family = instrument.model, instrument.family
    rounded = tolerance(instrument) != FLOAT32
    if family.listed and not rounded:
        return {}
    found, alone = [], True
    for layers in groups_that_fit(model, family, telling_layers(model, family)):
        copied, own_ids = float32_layers(instrument.loaded, family, layers, token_ids)
        small = Instrument(copied)
        found.append(_checks(small, own_ids, progress))
        alone = alone and (family.listed or layers_run_alone(small, own_ids))
    if not family.listed:
        family.layer_by_layer = alone
    if not rounded:
        return {}
    return {
        FLOAT32_PREFIX + name: (worst(checks[name][0] for checks in found), limit)
        for name, (_, limit) in found[0].items()
    }


def _plain(instrument: Instrument, token_ids: tuple[int, ...]) -> Float[Tensor, " vocabulary"]:
    """The model's own logits at the last position, without our hooks. Raises ModelError where it does not run."""
    device = device_of(instrument.model.get_input_embeddings())
    try:
        with torch.no_grad():
            output = instrument.model(input_ids=torch.tensor([token_ids], device=device), use_cache=False)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(
            f"{instrument.resolved.name} does not run: its own code in transformers ends with {shown(reason, 200)}. "
            "Fetch the model again, or choose another."
        ) from error
    logits: Tensor = output.logits[0, -1].float().cpu()
    return logits


def _checks(instrument: Instrument, token_ids: tuple[int, ...], progress: Progress) -> Checks:
    plain = _plain(instrument, token_ids)
    recorded = trace(instrument.model, instrument.family, token_ids, progress)
    likeliest = tuple(plain.topk(4).indices.tolist())
    limits = tolerance(instrument)
    return {
        "logits_error": (float((recorded.logits - plain).abs().max()), limits.logits),
        "readout_error": (_readout_error(instrument, recorded), limits.logits),
        "identity_error": (attribute(instrument, recorded, likeliest).identity_error, limits.identity),
        "residual_error": (_residual_error(recorded), limits.activations),
        "heads_error": (_heads_error(instrument, recorded), limits.activations),
        "pattern_error": (pattern_error(recorded, all_final_rows(recorded)), limits.activations),
        "rotary_error": (_rotary_error(recorded), limits.activations),
    }


def refuse_failed(name: str, checks: Checks) -> None:
    """Raises ModelError that names every figure over its limit (NaN counts as over)."""
    failed = [
        f"{check} {value:.3g} (limit {limit:g})"
        for check, (value, limit) in checks.items()
        if not value <= limit
    ]
    if failed:
        rounded = any(check.startswith(FLOAT32_PREFIX) for check in checks)
        only_rounding = rounded and not any(figure.startswith(FLOAT32_PREFIX) for figure in failed)
        raise ModelError(
            f"{name} failed its self-check: {', '.join(failed)}. Its numbers could not be trusted, so it is not "
            f"used. {'Try dtype float32 without quantization.' if only_rounding else 'Choose another model.'}"
        )


def _readout_error(instrument: Instrument, recorded: Trace) -> float:
    weights = instrument.weights
    with torch.no_grad():
        normed = instrument.family.final_norm(instrument.model)(
            recorded.resid_final[None, -1:].to(weights.device, instrument.model.dtype)
        )
        logits = weights.unembed(normed[0], torch.arange(instrument.shape.vocabulary))[0]
    return float((logits.float().cpu() - recorded.logits).abs().max())


def _residual_error(recorded: Trace) -> float:
    after = torch.cat([recorded.resid_pre[1:, -1], recorded.resid_final[None, -1]])
    total = recorded.resid_pre[:, -1] + recorded.attn_out[:, -1] + recorded.mlp_out[:, -1]
    return _largest_share(total, after)


def _heads_error(instrument: Instrument, recorded: Trace) -> float:
    total = []
    for layer in range(instrument.shape.layers):
        z = recorded.z[layer, -1]
        output, offset = instrument.weights.written(layer, z)
        written = torch.einsum("hd,mhd->m", z.to(output.device), output)
        total.append((written if offset is None else written + offset).cpu())
    return _largest_share(torch.stack(total), recorded.attn_out[:, -1])


def _rotary_error(recorded: Trace) -> float:
    before = torch.cat([recorded.q[:, 0], recorded.k[:, 0]], dim=1)
    after = torch.cat([recorded.q_rotated[:, :, 0], recorded.k_rotated[:, :, 0]], dim=1)
    return float((normalize(before, dim=-1) - normalize(after, dim=-1)).abs().max())


def _largest_share(ours: Float[Tensor, "layer size"], own: Float[Tensor, "layer size"]) -> float:
    """The largest difference in a layer, as a share of that layer's largest value; NaN if there is one."""
    return float(((ours - own).abs().amax(-1) / own.abs().amax(-1)).max())


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The figures, beside the model's sizes."""
    shape = instrument.shape
    checks = self_check(instrument, progress)
    return Findings(
        scalars={
            "family": shape.model_type,
            "by_structure": not instrument.family.listed,
            "layer_by_layer": instrument.family.layer_by_layer,
            "layers": shape.layers,
            "heads": shape.heads,
            "kv_heads": shape.kv_heads,
            "d_model": shape.d_model,
            "d_head": shape.d_head,
            "vocabulary": shape.vocabulary,
            "max_positions": shape.max_positions,
        },
        checks=checks,
    )
