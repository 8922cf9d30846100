"""A head's query at the final position and its keys and values at the labels, over many questions.

`HeadRow` computes what the head outputs at the final position when some of these vectors are replaced. For example,
with four labels, a query moved half way to its mean gives another row of attention, and so another `z`. Only this
head's own row changes: other heads that share its keys and values keep theirs.
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
from backend.engine.log_probability import log_probabilities
from backend.engine.pattern import final_attention, kv_head_of
from backend.engine.rotation import Rotations
from backend.engine.trace import Trace
from backend.questions.prompt import Prompt


@dataclass(frozen=True)
class HeadInputs:
    """One head's vectors in one prompt, and what the model answers there.

    Attributes:
        number: the index of the question in the task.
        positions: for each label the position of its key, the last token of the chosen role.
        predicted, right: indices of the label with the highest logit and of the right label.
        loss: the model's cross-entropy of the right label's token, in nats.
        q: the query at the final position; before the rotary embedding unless `Options.rotated`.
        k: the keys at `positions`; before the rotary embedding unless `Options.rotated`.
        v: the values at `positions`.
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
"""The inputs of some heads in one question."""


@dataclass(frozen=True)
class Options:
    """The params that say which vectors are collected, and how.

    Attributes:
        rank: how many dimensions a subspace has.
        at: the role of the tokens whose keys and values are collected.
        keep: whether all questions are used, or those that the model answers right.
        rotated: whether q and k are taken after the rotary embedding.
    """

    heads: tuple[HeadRef, ...]
    rank: int
    at: str
    keep: str
    seed: int
    rotated: bool

    @property
    def head(self) -> HeadRef:
        """The head, or the first of several."""
        return self.heads[0]

    @property
    def name(self) -> str:
        """The heads as text: `L15H13, L16H7`."""
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


def collect(
    instrument: Instrument,
    task: Task,
    options: Options,
    progress: Progress,
    prompts: Sequence[Prompt] | None = None,
) -> tuple[list[HeadInputs], list[dict[str, str]]]:
    """As `collect_heads`, for the one head of `options`."""
    kept, left_out = collect_heads(instrument, task, options, progress, prompts)
    return [inputs[options.head] for inputs in kept], left_out


def collect_heads(
    instrument: Instrument,
    task: Task,
    options: Options,
    progress: Progress,
    prompts: Sequence[Prompt] | None = None,
) -> tuple[list[ByHead], list[dict[str, str]]]:
    """The inputs of the questions that can be used, in order, and the stem and reason of each question left out.

    All questions used have the same number of options, the most frequent one. `prompts` are the task's own by default.
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


def require_questions(kept: Sized, left_out: list[dict[str, str]], needed: int, why: str) -> None:
    """Raise RequestError where fewer than `needed` questions can be used; `why` names what needs them."""
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
    """The heads' inputs in one prompt, or the reason why it is left out."""
    of_labels = [prompt.positions(f"{options.at} {label}") for label in range(len(prompt.labels))]
    if not all(of_labels):
        return f"no token of its own for a {options.at}: the tokenizer joins it with its neighbours"
    trace = instrument.trace(prompt.token_ids, progress)
    predicted, right = int(trace.logits[list(prompt.answer_ids)].argmax()), answered(prompt)
    if options.keep == "right" and predicted != right:
        return f"the model answers {prompt.labels[predicted]}, not {prompt.labels[right]}"
    loss = -float(log_probabilities(trace.logits)[prompt.answer_ids[right]])
    positions = tuple(tokens[-1] for tokens in of_labels)
    found = {}
    for head in options.heads:
        q, k, v, z = head_vectors(trace, head, positions, options.rotated)
        found[head] = HeadInputs(number, prompt, positions, predicted, right, loss, q, k, v, z)
    return found


def head_vectors(
    trace: Trace, head: HeadRef, positions: tuple[int, ...], rotated: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A head's q, k, v and z. They are copies, since a view would keep the whole trace in memory."""
    layer, kv_head, at = head.layer, kv_head_of(trace, head.head), list(positions)
    q, k = trace.q[layer, :, head.head], trace.k[layer, :, kv_head]
    if rotated:
        q, k = trace.q_rotated[layer, head.head], trace.k_rotated[layer, kv_head]
    v, z = trace.v[layer, at, kv_head], trace.z[layer, -1, head.head]
    return q[-1].clone(), k[at].clone(), v.clone(), z.clone()


@dataclass(frozen=True)
class HeadOutput:
    """One head at the final position in some cases: its output, and its row of attention."""

    z: Float[Tensor, "case d_head"]
    attention: Float[Tensor, "case key"]


@dataclass(frozen=True)
class HeadRow:
    """One head's row of attention at the final position of one prompt, to be computed again with other vectors."""

    trace: Trace
    inputs: HeadInputs
    head: HeadRef
    rotations: Rotations

    def output(
        self,
        q: Float[Tensor, "#case d_head"],
        k: Float[Tensor, "#case label d_head"],
        v: Float[Tensor, "#case label d_head"],
    ) -> HeadOutput:
        """What the head outputs with this query, and these keys and values at the labels.

        Vectors are before the rotary embedding. A first axis of length 1 stands for every case.
        """
        trace, positions = self.trace, list(self.inputs.positions)
        layer, kv_head = self.head.layer, kv_head_of(trace, self.head.head)
        rotated_q = q @ self.rotations.of_queries(trace, (trace.positions - 1,))[0]
        rotated_k = torch.einsum("clh,lhr->clr", k, self.rotations.of_keys(trace, self.inputs.positions))
        cases = max(len(q), len(k), len(v))
        products = (rotated_q @ trace.k_rotated[layer, kv_head].T).repeat(cases // len(q), 1)
        products[:, positions] = (rotated_q[:, None] * rotated_k).sum(-1)
        attention = final_attention(trace, layer, products)
        values = trace.v[layer, :, kv_head]
        changed = (v - values[positions]).expand(cases, -1, -1)
        z = attention @ values + torch.einsum("cl,cld->cd", attention[:, positions], changed)
        return HeadOutput(z, attention)
