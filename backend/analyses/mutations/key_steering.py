"""What a head's attention, and then the answer, do when one option's key is made more like the right one's.

Over other questions the direction is the mean key at the right label less the mean key at the wrong labels; a multiple
of it is added to the key at one option, for this head's reading at the final position only, and the run goes on. The
keys of labels hardly know which option is right, the query says that: over questions with all right labels the
direction is then next to nothing, so as a rule it is fitted on those whose right label is that of the steered one.
Beside it stands a random direction of the same length. Strength 1 is the whole difference. The test is ours.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.mutations.schema import KEY_STEERING
from backend.analyses.mutations.steering_arrays import Steered, arrays_of
from backend.analyses.over_questions import at_question
from backend.analyses.subspace.compression import RECHECKED
from backend.analyses.subspace.exchange import patched
from backend.analyses.subspace.head_inputs import HeadInputs, Options, collected, enough, read_with
from backend.analyses.subspace.questions_told import told, wrong
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance, worst
from backend.contract.errors import RequestError
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations

LEAST = 4


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Each question steered at each of its options.

    Arrays: `strength[strength]`; `label_logits` and `attention[question,option,strength,label]`, `label_logits_model`
    and `attention_model[question,label]`, `right[question]`, `predicted[question]`. Over `strength`, with `_low` and
    `_high`, and again with `_random`: of questions and options that are not the model's own letter `flipped` (the
    letter becomes the option's), `steered_attention`, `logit_rise` (of the option's label less the others' mean); of
    questions steered at the model's own letter `left` (it says another). Single `flipped_at_all`: the head gives all
    its attention to the option.
    """
    values = KEY_STEERING.values(task.request)
    options = Options.of(instrument, values)
    strengths, fitted_on = tuple(values["strengths"]), values["fitted_on"]
    rotations = Rotations(instrument, options.head.layer)
    kept, left_out = collected(instrument, task, options, progress)
    directions = {one.number: _direction(one, kept, fitted_on) for one in kept}
    usable = [one for one in kept if directions[one.number] is not None]
    reason = "no other question has the same right label, so there is nothing to fit on"
    left_out += [
        {"stem": task.questions[one.number].stem, "reason": reason} for one in kept if one not in usable
    ]
    enough(usable, left_out, LEAST, "fitting on the others")
    rows: list[Steered] = []
    for inputs in usable:
        direction = directions[inputs.number]
        assert direction is not None  # those are not usable
        _check_length(direction, inputs, options)
        within = at_question(progress, len(rows), len(usable))
        rechecked = int(len(rows) < RECHECKED)
        rows.append(_steered(instrument, inputs, options, rotations, direction, strengths, within, rechecked))
    labels = kept[0].prompt.labels
    lengths = torch.tensor([float(row.direction.norm() / row.key_length) for row in rows])
    return Findings(
        arrays=arrays_of(rows, strengths),
        ticks={"strength": tuple(f"{one:g}" for one in strengths), "label": labels, "option": labels},
        scalars={
            "head": str(options.head),
            "fitted_on": fitted_on,
            "labels": list(labels),
            "questions": told(task, usable),
            "kept": len(usable),
            "wrong": wrong(usable),
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
    """Mean key at the right label less that at the wrong ones, of the other questions; None where there are none."""
    others = [one for one in kept if one.number != steered.number]
    if fitted_on == "same":
        others = [one for one in others if one.right == steered.right]
    if not others:
        return None
    right = torch.stack([one.k[one.right] for one in others]).mean(0)
    wrong = torch.stack([(one.k.sum(0) - one.k[one.right]) / (len(one.k) - 1) for one in others]).mean(0)
    return right - wrong


def _check_length(direction: Float[Tensor, " d_head"], inputs: HeadInputs, options: Options) -> None:
    # Of equal keys float32 leaves differences of about 1e-7 of their size.
    if float(direction.norm()) <= 1e-6 * float(inputs.k.norm(dim=-1).mean()):
        raise RequestError(
            f"The keys of {options.head} are the same at right and wrong labels, so there is no direction to steer "
            "along. Use another head, other questions, or keys elsewhere (params.at)."
        )


def _steered(
    instrument: Instrument,
    inputs: HeadInputs,
    options: Options,
    rotations: Rotations,
    direction: Float[Tensor, " d_head"],
    strengths: tuple[float, ...],
    progress: Progress,
    rechecked: int,
) -> Steered:
    """One question: its own run, all attention at each option, then each direction at each option and strength."""
    trace = instrument.trace(inputs.prompt.token_ids, progress)
    drawn = torch.Generator().manual_seed(options.seed + 2**20 * inputs.number)
    other = torch.randn(len(direction), generator=drawn)
    along = torch.stack([direction, other * direction.norm() / other.norm()])
    labels = len(inputs.positions)
    added = torch.einsum("kd,s,ol->kosld", along, torch.tensor(strengths), torch.eye(labels))
    keys = torch.cat([inputs.k[None], (inputs.k + added).flatten(0, 2)])
    read = read_with(trace, inputs, options.head, rotations, inputs.q[None], keys, inputs.v[None])
    z = torch.cat([inputs.z[None], inputs.v, read.z[1:]])
    outcome = patched(instrument, inputs, {options.head: z}, progress, rechecked)
    sizes = (2, labels, len(strengths), labels)
    attention = read.attention[:, list(inputs.positions)]
    return Steered(
        right=inputs.right,
        predicted=inputs.predicted,
        direction=direction,
        key_length=float((inputs.k - inputs.k.mean(0)).norm(dim=-1).mean()),
        model=outcome.logits[0],
        at_all=outcome.logits[1 : 1 + labels],
        logits=outcome.logits[1 + labels :].view(sizes),
        attention_model=attention[0],
        attention=attention[1:].view(sizes),
        own_key_error=largest_share(read.z[0], inputs.z),
        oracle_error=outcome.oracle_error,
    )
