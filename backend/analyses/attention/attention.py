"""Where the final token looks: every head's last row, plain and weighted by what it reads, and mass per role."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attention.schema import ATTENTION
from backend.analyses.findings import array, layer_head_ticks
from backend.analyses.heads import chosen_head
from backend.analyses.intervals import letters_alike
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.prediction.prediction import answer_scalars
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.pattern import final_rows, full_pattern, values_for_heads
from backend.engine.trace import Trace

PATTERN_TOKENS = 2048
"""A page is sent every number of a whole pattern: 17 MB for so many tokens."""
KINDS = (
    "prelude",
    "shot",
    "stem",
    "right label",
    "wrong label",
    "bracket",
    "right option",
    "wrong option",
    "newline",
    "suffix",
    "final",
)


def value_norms(instrument: Instrument, trace: Trace, layer: int) -> Float[Tensor, "head position"]:
    """||v_s W_O|| for each head and source token: how much there is for the final token to read.

    A norm after attention counts as part of W_O, its scale frozen at the final token.
    """
    output, _ = instrument.weights.written(layer, trace.z[layer, -1])
    values = values_for_heads(trace, layer).to(output.device)
    norms = [(values[head] @ output[:, head].T).norm(dim=-1) for head in range(values.shape[0])]
    return torch.stack(norms).cpu()


def all_final_rows(trace: Trace) -> Float[Tensor, "layer head position"]:
    """The final position's attention of every head."""
    return torch.stack([final_rows(trace, layer) for layer in range(len(trace.scaling))])


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Attention for one question, or mean mass per kind of token over several."""
    if task.request.question is None:
        return _over_questions(instrument, task, progress)
    head = chosen_head(instrument, ATTENTION.values(task.request))
    (prompt,) = task.prompts(instrument)
    if head is not None and len(prompt.token_ids) > PATTERN_TOKENS:
        raise RequestError(
            f"The whole pattern of {head} over {len(prompt.token_ids):,} tokens is too large to be drawn: at most "
            f"{PATTERN_TOKENS:,} tokens. Take a shorter prompt, or leave out params.head."
        )
    # A whole pattern needs the queries of all positions.
    trace = (instrument.final_trace if head is None else instrument.trace)(prompt.token_ids, progress)
    final = all_final_rows(trace)
    norms = torch.stack([value_norms(instrument, trace, layer) for layer in range(instrument.shape.layers)])
    roles = tuple(dict.fromkeys(prompt.roles))
    arrays = {
        "final": array(final, ("layer", "head", "position"), "probability"),
        "final_value_weighted": array(final * norms, ("layer", "head", "position"), "norm"),
        "roles": array(mass_on(final, prompt.roles, roles), ("layer", "head", "role"), "probability"),
    }
    ticks = {**layer_head_ticks(instrument), "position": prompt.tokens, "role": roles}
    if head is not None:
        arrays["pattern"] = array(full_pattern(trace, head.layer, head.head), ("query", "key"), "probability")
        ticks |= {"query": prompt.tokens, "key": prompt.tokens}
    return Findings(
        arrays=arrays,
        ticks=ticks,
        scalars={
            **answer_scalars(trace, prompt),
            "head": None if head is None else str(head),
        },
        checks={"pattern_error": (pattern_error(trace, final), tolerance(instrument).activations)},
    )


def pattern_error(trace: Trace, final: Float[Tensor, "layer head position"]) -> float:
    """Largest difference between pattern times values and the model's own `z`, as a share of the largest `z`."""
    ours = torch.stack(
        [(final[layer][:, None] @ values_for_heads(trace, layer))[:, 0] for layer in range(len(final))]
    )
    recorded = trace.z[:, -1]
    return largest_share(ours, recorded)


def _over_questions(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    rights, masses, shares, tops, tops_among_labels = [], [], [], [], []
    for prompt, within in each_prompt(instrument, task, progress):
        right = answered(prompt)
        rights.append(right)
        final = all_final_rows(instrument.final_trace(prompt.token_ids, within))
        by_label = mass_on(final, prompt.roles, [f"label {place}" for place in range(len(prompt.labels))])
        masses.append(mass_on(final, [_kind(role, right) for role in prompt.roles], KINDS))
        shares.append(by_label[..., right] / by_label.sum(-1).clamp_min(1e-12))
        label_positions = torch.tensor(prompt.positions(f"label {right}"))
        tops.append(torch.isin(final.argmax(-1), label_positions).float())
        tops_among_labels.append((by_label.argmax(-1) == right).float())
    layer_head, weights = ("layer", "head"), torch.from_numpy(letters_alike(rights)).float()

    def mean(samples: list[Tensor]) -> Tensor:
        stacked = torch.stack(samples)
        return (weights.view(-1, *[1] * (stacked.ndim - 1)) * stacked).sum(0)

    return Findings(
        arrays={
            "roles": array(mean(masses), (*layer_head, "role"), "probability"),
            "right_share": array(mean(shares), layer_head, "share"),
            "right_top": array(mean(tops), layer_head, "share"),
            "right_top_among_labels": array(mean(tops_among_labels), layer_head, "share"),
        },
        ticks={**layer_head_ticks(instrument), "role": KINDS},
        scalars={"count": len(masses)},
    )


def mass_on(
    final: Float[Tensor, "*row position"], roles: Sequence[str], wanted: Sequence[str]
) -> Float[Tensor, "*row role"]:
    """How much attention goes to all tokens of each role."""
    membership = torch.tensor([[float(role == name) for name in wanted] for role in roles])
    return final @ membership


def _kind(role: str, right: int) -> str:
    name, _, place = role.partition(" ")
    if name in ("label", "option"):
        return f"right {name}" if int(place) == right else f"wrong {name}"
    return name
