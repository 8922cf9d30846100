"""What the model says: the labels' logits and probabilities, the loss, the top tokens, and a logit lens."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.findings import array, layer_head_ticks, prompt_scalars
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_probabilities
from backend.engine.trace import Trace
from backend.questions.prompt import Prompt

TOP_TOKENS = 10


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Prediction for one question.

    Arrays: `label_logits[label]`, `label_logprobs[label]` (nats, over the whole vocabulary),
    `label_probs[label]` (among the labels), `lens[layer,label]` (the labels' logits read off the residual stream
    after each layer; nostalgebraist 2020).
    """
    (prompt,) = task.prompts(instrument)
    trace = instrument.final_trace(prompt.token_ids, progress)
    ids = list(prompt.answer_ids)
    logprobs = log_probabilities(trace.logits)
    label_logits = trace.logits[ids]
    lens = logit_lens(instrument, trace, prompt)
    return Findings(
        arrays={
            "label_logits": array(label_logits, ("label",), "logits"),
            "label_logprobs": array(logprobs[ids], ("label",), "nats"),
            "label_probs": array(torch.softmax(label_logits, dim=-1), ("label",), "probability"),
            "lens": array(lens, ("layer", "label"), "logits"),
        },
        ticks={"label": prompt.labels, "layer": layer_head_ticks(instrument)["layer"]},
        scalars={
            **answer_scalars(trace, prompt),
            "top_tokens": top_tokens(instrument, logprobs),
        },
        checks={
            "lens_error": (float((lens[-1] - label_logits).abs().max()), tolerance(instrument).logits),
        },
    )


def answer_scalars(trace: Trace, prompt: Prompt) -> dict[str, Any]:
    """What every result about one question says of its prompt and of the model's answer."""
    return {
        **prompt_scalars(prompt),
        "predicted": predicted_label(trace, prompt),
        "loss": loss(trace, prompt),
    }


def predicted_label(trace: Trace, prompt: Prompt) -> str:
    """The label with the highest logit."""
    return prompt.labels[int(trace.logits[list(prompt.answer_ids)].argmax())]


def loss(trace: Trace, prompt: Prompt) -> float | None:
    """Cross-entropy of the right label's token over the whole vocabulary, in nats; None where none is right."""
    if prompt.answer is None:
        return None
    return -float(log_probabilities(trace.logits)[prompt.answer_ids[prompt.answer]])


def logit_lens(instrument: Instrument, trace: Trace, prompt: Prompt) -> Float[Tensor, "layer label"]:
    """The labels' logits if the model stopped after each layer, computed in the model's own dtype."""
    after = torch.cat([trace.resid_pre[1:, -1], trace.resid_final[-1:]])
    with torch.no_grad():
        normed = instrument.family.final_norm(instrument.model)(
            after.to(instrument.weights.device, instrument.model.dtype)
        )
        logits = instrument.weights.unembed(normed, torch.tensor(prompt.answer_ids))
    return logits.float().cpu()


def top_tokens(
    instrument: Instrument, logprobs: Float[Tensor, " vocabulary"]
) -> list[dict[str, str | int | float]]:
    """The likeliest tokens of a run, each with its text, its id and its log-probability in nats."""
    best = logprobs.topk(min(TOP_TOKENS, len(logprobs)))
    return [
        {"token": instrument.tokenizer.decode([token]), "id": token, "logprob": value}
        for token, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
