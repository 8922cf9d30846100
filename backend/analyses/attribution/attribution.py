"""Direct logit attribution: how much each head, MLP and the embedding wrote for each label, summing exactly.

l_n = W_U (g * n_t * s) with the final norm's scale s frozen at the clean run, less its mean over the vocabulary
(Elhage et al. 2021; the first tool of Lieberum et al. 2023). The parts add up to the model's own centred logits; how
nearly is the identity error. A norm after attention has its scale frozen too. Where a model puts a soft cap or a
scaling after the unembedding, the logits are those before it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attribution.by_expert import by_expert
from backend.analyses.attribution.schema import ATTRIBUTION
from backend.analyses.findings import array, layer_head_ticks
from backend.analyses.heads import chosen_head
from backend.analyses.intervals import letters_alike, mean_interval, with_ends
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.prediction.prediction import answer_scalars
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.pattern import final_rows, kv_head_of
from backend.engine.trace import Trace


@dataclass(frozen=True)
class Attribution:
    """One prompt's attribution, in logits centred over the vocabulary.

    Attributes:
        heads, mlps, embedding, bias: what each node wrote for each label.
        readout: per layer, what a head's `z` is multiplied with to give its attribution.
        directions: what anything written to the residual stream is multiplied with.
        identity_error: the largest difference, over labels, between the sum of all and the model's own logits (before
            a soft cap or scaling).
    """

    heads: Float[Tensor, "layer head label"]
    mlps: Float[Tensor, "layer label"]
    embedding: Float[Tensor, " label"]
    bias: Float[Tensor, " label"]
    readout: list[Float[Tensor, "label head d_head"]]
    directions: Float[Tensor, "label d_model"]
    identity_error: float


def attribute(instrument: Instrument, trace: Trace, answer_ids: tuple[int, ...]) -> Attribution:
    """Attribution of the logits of some tokens, the labels' as a rule, in one traced prompt."""
    weights = instrument.weights
    device = weights.device
    norm = instrument.family.frozen_norm(instrument.model, trace.resid_final[-1].to(device))
    directions = weights.label_directions(answer_ids, norm)
    readout, bias = [], torch.zeros(len(answer_ids))
    for layer in range(instrument.shape.layers):
        output, offset = weights.written(layer, trace.z[layer, -1])
        flat = directions.to(output.device) @ output.flatten(1)
        readout.append(flat.view(-1, *output.shape[1:]).cpu())
        if offset is not None:
            bias = bias + (directions.to(offset.device) @ offset).cpu()
    directions = directions.cpu()
    if norm.bias is not None:
        rows = weights.unembedding(answer_ids) - weights.unembedding_mean()
        bias = bias + (rows @ norm.bias.float()).cpu()
    unembedding_bias = weights.unembedding_bias(answer_ids)
    if unembedding_bias is not None:
        bias = bias + unembedding_bias.cpu()
    z = trace.z[:, -1]
    heads = torch.stack([(part * z[layer]).sum(-1).T for layer, part in enumerate(readout)])
    mlps = trace.mlp_out[:, -1] @ directions.T
    embedding = directions @ trace.resid_pre[0, -1]
    total = heads.sum((0, 1)) + mlps.sum(0) + embedding + bias
    logits = trace.unembedded[list(answer_ids)] - trace.unembedded.mean(dtype=torch.float64)
    error = float((total - logits).abs().max())
    return Attribution(heads, mlps, embedding, bias, readout, directions, error)


def by_source(attribution: Attribution, trace: Trace, head: HeadRef) -> Float[Tensor, "token label"]:
    """One head's attribution split by the token it read: pattern[t, s] * v_s W_O W_U; sums to the head's."""
    row = final_rows(trace, head.layer)[head.head]
    values = trace.v[head.layer, :, kv_head_of(trace, head.head)]
    return row[:, None] * (values @ attribution.readout[head.layer][:, head.head].T)


def net_effect(values: Float[Tensor, "*node label"], label: int) -> Float[Tensor, "*node"]:
    """What a node does for one label against the others: value[label] - mean(value[other labels]).

    >>> net_effect(torch.tensor([3.0, 1.0, 0.0, 2.0]), 0)
    tensor(2.)
    """
    others = [other for other in range(values.shape[-1]) if other != label]
    return values[..., label] - values[..., others].mean(-1)


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Attribution for one question, or its mean net effect over several."""
    if task.request.question is None:
        return _over_questions(instrument, task, progress)
    head = chosen_head(instrument, ATTRIBUTION.values(task.request))
    (prompt,) = task.prompts(instrument)
    trace = instrument.final_trace(prompt.token_ids, progress)
    found = attribute(instrument, trace, prompt.answer_ids)
    arrays = {
        "heads": array(found.heads, ("layer", "head", "label"), "logits"),
        "mlps": array(found.mlps, ("layer", "label"), "logits"),
        "embedding": array(found.embedding, ("label",), "logits"),
        "bias": array(found.bias, ("label",), "logits"),
    }
    ticks = {**layer_head_ticks(instrument), "label": prompt.labels}
    checks = {"identity_error": (found.identity_error, tolerance(instrument).identity)}
    experts = by_expert(instrument, trace, found.directions, found.mlps)
    if experts is not None:
        arrays["experts"] = array(experts.routed, ("layer", "expert", "label"), "logits")
        if experts.shared is not None:
            arrays["shared_expert"] = array(experts.shared, ("layer", "label"), "logits")
        ticks["expert"] = tuple(str(expert) for expert in range(experts.routed.shape[1]))
        checks["experts_error"] = (experts.error, tolerance(instrument).identity)
    if head is not None:
        source = by_source(found, trace, head)
        arrays["source"] = array(source, ("token", "label"), "logits")
        ticks["token"] = prompt.tokens
        split_error = float((source.sum(0) - found.heads[head.layer, head.head]).abs().max())
        checks["source_error"] = (split_error, tolerance(instrument).identity)
    return Findings(
        arrays=arrays,
        ticks=ticks,
        scalars={
            **answer_scalars(trace, prompt),
            "head": None if head is None else str(head),
            "before_cap": not instrument.weights.logits_are_unembedded,
        },
        checks=checks,
    )


def _over_questions(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    rights, nets, mlp_nets, errors = [], [], [], []
    for prompt, within in each_prompt(instrument, task, progress):
        right = answered(prompt)
        rights.append(right)
        trace = instrument.final_trace(prompt.token_ids, within)
        found = attribute(instrument, trace, prompt.answer_ids)
        nets.append(net_effect(found.heads, right))
        mlp_nets.append(net_effect(found.mlps, right))
        errors.append(found.identity_error)
    weights = letters_alike(rights)
    net, mlp_net = (mean_interval(torch.stack(samples).numpy(), weights) for samples in (nets, mlp_nets))
    return Findings(
        arrays={
            **with_ends("net", net, ("layer", "head"), "logits"),
            **with_ends("mlp_net", mlp_net, ("layer",), "logits"),
        },
        ticks=layer_head_ticks(instrument),
        scalars={"count": len(nets), "before_cap": not instrument.weights.logits_are_unembedded},
        checks={"identity_error": (worst(errors), tolerance(instrument).identity)},
    )
