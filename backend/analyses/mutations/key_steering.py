"""Whether attention, and then the answer, move to an option whose key is made more like the right option's.

The direction is fitted on other questions: the mean key at the right label minus the mean key at the wrong labels. A
multiple of it is added to the key of one option, for this head's final row only, and the model runs on. Keys of labels
hardly differ between right and wrong options, so over questions with all right labels the direction is nearly zero. By
default it is therefore fitted on the questions that have the same right label.

Example: strength 2 at option C adds twice the direction to C's key. In addition a random direction of the same length
is added, as a control. The test is ours.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.mutations.schema import KEY_STEERING
from backend.analyses.mutations.steering_arrays import Steered, arrays_of
from backend.analyses.over_questions import at_question
from backend.analyses.subspace.compression import RECHECKED
from backend.analyses.subspace.head_inputs import HeadInputs, HeadRow, Options, collect, require_questions
from backend.analyses.subspace.question_records import count_wrong, question_records
from backend.analyses.subspace.replaced_outputs import run_replaced
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance, worst
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations

LEAST = 4


@dataclass(frozen=True)
class Steering:
    """What is added to a key: each strength times the direction, and times the control, a random one of its length."""

    direction: Float[Tensor, " d_head"]
    control: Float[Tensor, " d_head"]
    strengths: tuple[float, ...]


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Steer each question at each of its options.

    Arrays: `strength[strength]`; `label_logits` and `attention[question,option,strength,label]`, `label_logits_model`
    and `attention_model[question,label]`, `right[question]`, `predicted[question]`. Over `strength`, with `_low` and
    `_high`, and again with `_random`: of questions and options that are not the model's own letter `flipped` (the
    model now says the option's letter), `steered_attention`, `logit_rise` (of the option's label minus the others'
    mean); for questions steered at the model's own letter `left` (it now says another). Single `flipped_at_all`: the
    share flipped when the head attends to nothing but the option.
    """
    values = KEY_STEERING.values(task.request)
    options = Options.of(instrument, values)
    strengths, fitted_on = tuple(values["strengths"]), values["fitted_on"]
    rotations = Rotations(instrument, options.head.layer)
    kept, left_out = collect(instrument, task, options, progress)
    directions = {one.number: _direction(one, kept, fitted_on) for one in kept}
    usable = [one for one in kept if directions[one.number] is not None]
    reason = "no other question has the same right label, so there is nothing to fit on"
    left_out += [
        {"stem": task.questions[one.number].stem, "reason": reason} for one in kept if one not in usable
    ]
    require_questions(usable, left_out, LEAST, "fitting on the others")
    rows: list[Steered] = []
    for inputs in usable:
        direction = directions[inputs.number]
        assert direction is not None  # those are not usable
        steering = _steering(direction, inputs, options, strengths)
        within = at_question(progress, len(rows), len(usable))
        trace = instrument.trace(inputs.prompt.token_ids, within)
        row = HeadRow(trace, inputs, options.head, rotations)
        rows.append(_steered(instrument, row, steering, within, int(len(rows) < RECHECKED)))
    labels = kept[0].prompt.labels
    lengths = torch.tensor([float(row.direction.norm() / row.key_length) for row in rows])
    return Findings(
        arrays=arrays_of(rows, strengths),
        ticks={"strength": tuple(f"{one:g}" for one in strengths), "label": labels, "option": labels},
        scalars={
            "head": str(options.head),
            "fitted_on": fitted_on,
            "labels": list(labels),
            "questions": question_records(task, usable),
            "kept": len(usable),
            "wrong": count_wrong(usable),
            "left_out": left_out,
            "direction_length": float(lengths.mean()),
        },
        checks={
            "own_key_error": (worst(row.own_key_error for row in rows), tolerance(instrument).activations),
            "oracle_error": (worst(row.oracle_error for row in rows), tolerance(instrument).logits),
        },
    )


def _direction(
    steered: HeadInputs, kept: list[HeadInputs], fitted_on: str
) -> Float[Tensor, " d_head"] | None:
    """Mean key at the right label minus mean key at wrong labels, over other questions; None where there are none."""
    others = [one for one in kept if one.number != steered.number]
    if fitted_on == "same":
        others = [one for one in others if one.right == steered.right]
    if not others:
        return None
    right = torch.stack([one.k[one.right] for one in others]).mean(0)
    wrong = torch.stack([(one.k.sum(0) - one.k[one.right]) / (len(one.k) - 1) for one in others]).mean(0)
    return right - wrong


def _steering(
    direction: Float[Tensor, " d_head"], inputs: HeadInputs, options: Options, strengths: tuple[float, ...]
) -> Steering:
    """The direction with a random one of its length. Raises RequestError for a direction of length zero."""
    # The difference of equal keys is about 1e-7 of their size in float32, not exactly zero.
    if float(direction.norm()) <= 1e-6 * float(inputs.k.norm(dim=-1).mean()):
        raise RequestError(
            f"The keys of {options.head} are the same at right and wrong labels, so there is no direction to steer "
            "along. Use another head, other questions, or keys elsewhere (params.at)."
        )
    generator = torch.Generator().manual_seed(options.seed + 2**20 * inputs.number)
    drawn = torch.randn(len(direction), generator=generator)
    return Steering(direction, drawn * direction.norm() / drawn.norm(), strengths)


def _steered(
    instrument: Instrument, row: HeadRow, steering: Steering, progress: Progress, rechecked: int
) -> Steered:
    """One question: its own run, all attention at each option, then each direction at each option and strength."""
    inputs, strengths = row.inputs, steering.strengths
    labels = len(inputs.positions)
    along = torch.stack([steering.direction, steering.control])
    added = torch.einsum("kd,s,ol->kosld", along, torch.tensor(strengths), torch.eye(labels))
    keys = torch.cat([inputs.k[None], (inputs.k + added).flatten(0, 2)])
    output = row.output(inputs.q[None], keys, inputs.v[None])
    # An output equal to an option's value is what the head gives when all its attention is there.
    z = torch.cat([inputs.z[None], inputs.v, output.z[1:]])
    outcome = run_replaced(instrument, inputs, {row.head: z}, progress, rechecked)
    sizes = (2, labels, len(strengths), labels)
    attention = output.attention[:, list(inputs.positions)]
    return Steered(
        right=inputs.right,
        predicted=inputs.predicted,
        direction=steering.direction,
        key_length=float((inputs.k - inputs.k.mean(0)).norm(dim=-1).mean()),
        model=outcome.logits[0],
        at_all=outcome.logits[1 : 1 + labels],
        logits=outcome.logits[1 + labels :].view(sizes),
        attention_model=attention[0],
        attention=attention[1:].view(sizes),
        own_key_error=largest_share(output.z[0], inputs.z),
        oracle_error=outcome.oracle_error,
    )
