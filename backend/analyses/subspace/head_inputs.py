"""One head's query at the final position and its keys and values at the labels, over many questions; and what the head
gives there when they are exchanged.

Only this head's reading at the final position changes: other heads that share its keys and values keep theirs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.heads import chosen_heads
from backend.analyses.over_questions import answered, at_question
from backend.analyses.subspace.schema import AT, RANK
from backend.analyses.task import Task
from backend.contract.errors import RequestError, shown
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.pattern import final_attention, kv_head_of
from backend.engine.rotation import Rotations
from backend.engine.trace import Trace
from backend.questions.prompt import Prompt


@dataclass(frozen=True)
class HeadInputs:
    """What one head reads and gives in one prompt.

    Attributes:
        number: the question's place in the task.
        positions: for each label the position of its key: the last token of that role.
        q, k: before the rotary embedding unless asked for after it.
        loss: the model's, in nats.
        predicted, right: indices of the likeliest and of the right label.
        z: the head's output at the final position.
    """

    number: int
    prompt: Prompt
    positions: tuple[int, ...]
    predicted: int
    right: int
    loss: float
    q: Float[Tensor, " d_head"]
    k: Float[Tensor, "label d_head"]
    v: Float[Tensor, "label d_head"]
    z: Float[Tensor, " d_head"]


ByHead = Mapping[HeadRef, HeadInputs]
"""One question's, of some heads."""


@dataclass(frozen=True)
class Options:
    """The params that say which vectors are collected and how."""

    heads: tuple[HeadRef, ...]
    rank: int
    at: str
    keep: str
    seed: int
    rotated: bool

    @property
    def head(self) -> HeadRef:
        """The only head, or the first of several."""
        return self.heads[0]

    @property
    def name(self) -> str:
        """What to call the heads: `L15H13, L16H7`."""
        return ", ".join(map(str, self.heads))

    @classmethod
    def of(cls, instrument: Instrument, values: Mapping[str, Any]) -> "Options":
        """From an analysis' parameters; what it does not take is at its default.

        Raises RequestError for a head or a rank that the model does not have.
        """
        rank, most = values.get("rank", RANK.default), instrument.shape.d_head
        if rank > most:
            raise RequestError(f"params.rank must be a whole number from 1 to {most}, not {shown(rank)}.")
        return cls(
            heads=chosen_heads(instrument, values),
            rank=rank,
            at=values.get("at", AT.default),
            keep=values["keep"],
            seed=values["seed"],
            rotated=values.get("rotated", False),
        )


def collected(
    instrument: Instrument,
    task: Task,
    options: Options,
    progress: Progress,
    prompts: Sequence[Prompt] | None = None,
) -> tuple[list[HeadInputs], list[dict[str, str]]]:
    """What `collected_heads` gives of the only head."""
    kept, left_out = collected_heads(instrument, task, options, progress, prompts)
    return [inputs[options.head] for inputs in kept], left_out


def collected_heads(
    instrument: Instrument,
    task: Task,
    options: Options,
    progress: Progress,
    prompts: Sequence[Prompt] | None = None,
) -> tuple[list[ByHead], list[dict[str, str]]]:
    """The questions that can be used, in their order, and those left out, each with its stem and the reason.

    All that are kept have the same number of options, the most frequent one. `prompts` are the task's own by default.
    """
    prompts = task.prompts(instrument) if prompts is None else prompts
    counts = Counter(len(question.options) for question in task.questions)
    usual = counts.most_common(1)[0][0]
    kept: list[ByHead] = []
    left_out: list[dict[str, str]] = []
    for number, prompt in enumerate(prompts):
        answered(prompt)
        within = at_question(progress, number, len(prompts))
        within("")
        found: ByHead | str = f"{len(prompt.labels)} options, not {usual} as most of the questions"
        if len(prompt.labels) == usual:
            found = _inputs(instrument, number, prompt, options, within)
        if isinstance(found, str):
            left_out.append({"stem": task.questions[number].stem, "reason": found})
        else:
            kept.append(found)
    return kept, left_out


def enough(kept: Sized, left_out: list[dict[str, str]], needed: int, why: str) -> None:
    """Raise RequestError where fewer than `needed` questions are left."""
    if len(kept) < needed:
        first = (
            f" {len(left_out)} were left out, the first because of: {left_out[0]['reason']}."
            if left_out
            else ""
        )
        raise RequestError(
            f"{len(kept)} question{'s' * (len(kept) != 1)} can be used; {why} needs at least {needed}.{first} Use more."
        )


def _inputs(
    instrument: Instrument, number: int, prompt: Prompt, options: Options, progress: Progress
) -> ByHead | str:
    """One prompt's vectors, or why it is left out."""
    places = [prompt.positions(f"{options.at} {label}") for label in range(len(prompt.labels))]
    if not all(places):
        return f"no token of its own for a {options.at}: the tokenizer joins it with its neighbours"
    trace = instrument.trace(prompt.token_ids, progress)
    predicted, right = int(trace.logits[list(prompt.answer_ids)].argmax()), answered(prompt)
    if options.keep == "right" and predicted != right:
        return f"the model answers {prompt.labels[predicted]}, not {prompt.labels[right]}"
    loss = float(-torch.log_softmax(trace.logits, dim=-1)[prompt.answer_ids[right]])
    positions = tuple(own[-1] for own in places)
    found = {}
    for head in options.heads:
        q, k, v, z = _vectors(trace, head, positions, options.rotated)
        found[head] = HeadInputs(number, prompt, positions, predicted, right, loss, q, k, v, z)
    return found


def _vectors(
    trace: Trace, head: HeadRef, positions: tuple[int, ...], rotated: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A head's q, k, v and z. Copies: a view would keep the whole trace in memory."""
    layer, kv_head, at = head.layer, kv_head_of(trace, head.head), list(positions)
    q, k = trace.q[layer, :, head.head], trace.k[layer, :, kv_head]
    if rotated:
        q, k = trace.q_rotated[layer, head.head], trace.k_rotated[layer, kv_head]
    v, z = trace.v[layer, at, kv_head], trace.z[layer, -1, head.head]
    return q[-1].clone(), k[at].clone(), v.clone(), z.clone()


@dataclass(frozen=True)
class Read:
    """What a head gives at the final position in some cases, and where it looks."""

    z: Float[Tensor, "case d_head"]
    attention: Float[Tensor, "case key"]


def read_with(
    trace: Trace,
    inputs: HeadInputs,
    head: HeadRef,
    rotations: Rotations,
    q: Float[Tensor, "#case d_head"],
    k: Float[Tensor, "#case label d_head"],
    v: Float[Tensor, "#case label d_head"],
) -> Read:
    """The head's final row with this query, and these keys and values at the labels."""
    kv_head, at = kv_head_of(trace, head.head), list(inputs.positions)
    rotated_q = q @ rotations.of_queries(trace, (trace.positions - 1,))[0]
    rotated_k = torch.einsum("clh,lhr->clr", k, rotations.of_keys(trace, inputs.positions))
    cases = max(len(q), len(k), len(v))
    products = (rotated_q @ trace.k_rotated[head.layer, kv_head].T).repeat(cases // len(q), 1)
    products[:, at] = (rotated_q[:, None] * rotated_k).sum(-1)
    attention = final_attention(trace, head.layer, products)
    values = trace.v[head.layer, :, kv_head]
    z = attention @ values + torch.einsum(
        "cl,cld->cd", attention[:, at], (v - values[at]).expand(cases, -1, -1)
    )
    return Read(z, attention)
