"""One question, one head: its key at another option, or its query, is moved until the model says that option's letter.

By the key: the key at the label said minus the mean key at the other labels, of this prompt, is added to the key of the
other option. At strength 1 that option's key differs from the others' as the key of the label said does. Only this
head's final row sees the change. As a control a random direction of the same length is added.

By the query: the final query moves towards the one that the head has in the prompt with the two options swapped, where
the content said stands at the other option. At strength 1 it is that query. Vectors are before the rotary embedding.

Both are ours. Every case is an exact run: the head's final output is computed from the changed row of attention, and
all that comes after it is computed again.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.findings import array, prompt_scalars
from backend.analyses.subspace.head_inputs import HeadInputs, HeadRow, Options, head_vectors
from backend.analyses.subspace.replaced_outputs import run_replaced
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance
from backend.analyses.turn.schema import RECHECKED, TURN, WAYS
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.contract.result import Array
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_probabilities
from backend.engine.rotation import Rotations
from backend.engine.trace import Trace
from backend.questions.prompt import Prompt


@dataclass(frozen=True)
class Moved:
    """What is added to the head's vectors at strength 1.

    Attributes:
        key, random: to the key at the option `to`; both are equally long.
        query: to the final query.
    """

    key: Float[Tensor, " d_head"]
    query: Float[Tensor, " d_head"]
    random: Float[Tensor, " d_head"]


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The labels' logits and the head's attention for each way and strength.

    Raises RequestError where the label to turn to is the one said, or a label has no token of its own.
    """
    values = TURN.values(task.request)
    head, strengths = HeadRef(*values["head"]), torch.tensor(values["strengths"])
    Options.of(instrument, {**values, "keep": "all"})  # refuses a head that the model does not have
    (prompt,) = task.prompts(instrument)
    trace = instrument.trace(prompt.token_ids, progress)
    inputs = _inputs(trace, prompt, head, values["at"])
    to = _place(prompt, trace, inputs.predicted, values["to"])
    swapped = instrument.prompt(
        task.questions[0].swapped(inputs.predicted, to), task.request.prompt, task.shots[0]
    )
    other = instrument.trace(swapped.token_ids, progress)
    turned = _inputs(other, swapped, head, values["at"])
    moved = _moved(inputs, turned, values["seed"])
    row = HeadRow(trace, inputs, head, Rotations(instrument, head.layer))
    output = row.output(*_cases(inputs, moved, strengths, to), inputs.v[None])
    z = torch.cat([inputs.z[None], inputs.v[to][None], output.z[1:]])
    outcome = run_replaced(instrument, inputs, {head: z}, progress, RECHECKED)
    return Findings(
        arrays=_arrays(strengths, outcome.logits, output.attention[:, list(inputs.positions)]),
        ticks={
            "way": WAYS,
            "strength": tuple(f"{one:g}" for one in values["strengths"]),
            "label": prompt.labels,
        },
        scalars={
            **prompt_scalars(prompt),
            "head": str(head),
            "predicted": prompt.labels[inputs.predicted],
            "to": prompt.labels[to],
            "swapped_predicted": prompt.labels[turned.predicted],
            **_lengths(inputs, moved),
        },
        checks={
            "own_key_error": (largest_share(output.z[0], inputs.z), tolerance(instrument).activations),
            "oracle_error": (outcome.oracle_error, tolerance(instrument).logits),
        },
    )


def _arrays(
    strengths: Float[Tensor, " strength"],
    logits: Float[Tensor, "case label"],
    attention: Float[Tensor, "row label"],
) -> dict[str, Array]:
    """The result's arrays.

    Cases: as it is, all attention on the option, then by way and strength. Rows of attention lack the second.
    """
    sizes, axes = (len(WAYS), len(strengths), logits.shape[1]), ("way", "strength", "label")
    return {
        "strength": array(strengths, ("strength",), "differences"),
        "label_logits": array(logits[2:].view(sizes), axes, "logits"),
        "attention": array(attention[1:].view(sizes), axes, "probability"),
        "label_logits_model": array(logits[0], ("label",), "logits"),
        "attention_model": array(attention[0], ("label",), "probability"),
        "label_logits_at_all": array(logits[1], ("label",), "logits"),
    }


def _lengths(inputs: HeadInputs, moved: Moved) -> dict[str, float]:
    """How long the differences are, each as a share of what it is added to."""
    apart = float((inputs.k - inputs.k.mean(0)).norm(dim=-1).mean())
    return {
        "key_length": float(moved.key.norm()) / apart if apart else 0.0,
        "query_length": float(moved.query.norm() / inputs.q.norm()),
    }


def _inputs(trace: Trace, prompt: Prompt, head: HeadRef, at: str) -> HeadInputs:
    """The head's vectors in one prompt. Raises RequestError where a label has no token of its own."""
    of_labels = [prompt.positions(f"{at} {label}") for label in range(len(prompt.labels))]
    if not all(of_labels):
        raise RequestError(
            f"An option has no token of its own for a {at}: the tokenizer joins it with its neighbours. Read the keys "
            "elsewhere (params.at), or take another template."
        )
    positions = tuple(tokens[-1] for tokens in of_labels)
    said = int(trace.logits[list(prompt.answer_ids)].argmax())
    loss = -float(log_probabilities(trace.logits)[prompt.answer_ids[said]])
    q, k, v, z = head_vectors(trace, head, positions, rotated=False)
    return HeadInputs(0, prompt, positions, said, said, loss, q, k, v, z)


def _place(prompt: Prompt, trace: Trace, said: int, wanted: str | None) -> int:
    """The index of the label to turn to."""
    if wanted is None:
        logits = trace.logits[list(prompt.answer_ids)].clone()
        logits[said] = -torch.inf
        return int(logits.argmax())
    if prompt.labels[said] == wanted:
        raise RequestError(
            f"The model says {wanted} already, so the head cannot be turned to it. Choose another label "
            f"(params.to): one of {', '.join(label for label in prompt.labels if label != wanted)}."
        )
    return prompt.labels.index(wanted)


def _moved(inputs: HeadInputs, turned: HeadInputs, seed: int) -> Moved:
    """Raises RequestError where the head's keys are the same at all labels."""
    said, k = inputs.predicted, inputs.k
    key = k[said] - (k.sum(0) - k[said]) / (len(k) - 1)
    # The difference of equal keys is about 1e-7 of their size in float32, not exactly zero.
    if float(key.norm()) <= 1e-6 * float(k.norm(dim=-1).mean()):
        raise RequestError(
            "This head's keys are the same at all labels, so there is no direction to turn it along. Choose another "
            "head, or keys elsewhere (params.at)."
        )
    drawn = torch.randn(len(key), generator=torch.Generator().manual_seed(seed))
    return Moved(key, turned.q - inputs.q, drawn * key.norm() / drawn.norm())


def _cases(
    inputs: HeadInputs, moved: Moved, strengths: Float[Tensor, " strength"], to: int
) -> tuple[Float[Tensor, "case d_head"], Float[Tensor, "case label d_head"]]:
    """Queries and keys of all cases: as it is, then by way and strength, in the order of `WAYS`."""
    zero = torch.zeros_like(moved.key)
    first = torch.zeros(1, len(zero))
    queries = [first, *(torch.outer(strengths, by) for by in (zero, moved.query, zero))]
    keys = [first, *(torch.outer(strengths, by) for by in (moved.key, zero, moved.random))]
    at = torch.eye(len(inputs.k))[to]
    return inputs.q + torch.cat(queries), inputs.k + torch.einsum("cd,l->cld", torch.cat(keys), at)
