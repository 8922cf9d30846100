"""From readings to a result: means with intervals, the same of each half, and the classes at the usual thresholds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.analyses.atlas.kept import EFFECTS, Kept
from backend.analyses.atlas.outside import NAMES, Outside
from backend.analyses.atlas.schema import BY_SAMPLE, FIGURES, PER_QUESTION
from backend.analyses.findings import array, layer_head_ticks
from backend.analyses.intervals import ENDS, as_scalar, share_interval
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.result import Array
from backend.engine.instrument import Instrument
from backend.results.head_classes import CLASSES, Thresholds, Verdicts, classify
from backend.results.head_figures import KINDS, SAMPLES, Mean, Readings, means, of_questions

Means = dict[str, Mean]


@dataclass(frozen=True)
class Asked:
    """What a result is about, beside what was read of its questions."""

    instrument: Instrument
    task: Task
    rights: list[int]
    half: list[int]
    without_effects: list[dict[str, str]]
    outside: Outside


def findings(asked: Asked, kept: Kept, draws: int) -> Findings:
    """The result of the questions that are whole so far."""
    readings = kept.readings(asked.rights, asked.half)
    figures = of_questions(readings)
    by_sample = [
        means(
            figures if name == "all" else {one: figures[one] for one in BY_SAMPLE},
            readings.right,
            readings.sample(name),
            draws,
        )
        for name in SAMPLES
    ]
    options = mean_options(readings)
    labels = asked.task.request.prompt.labels[: readings.labels.shape[1]]
    return Findings(
        arrays={
            **_means(by_sample),
            **_classes(by_sample, options),
            **{
                name: array(getattr(asked.outside, name), ("layer", "head"), FIGURES[name][1])
                for name in NAMES
            },
            **_per_question(readings, kept),
        },
        ticks={
            **layer_head_ticks(asked.instrument),
            "label": labels,
            "kind": KINDS,
            "class": tuple(CLASSES),
            "sample": SAMPLES,
        },
        scalars=_scalars(asked, readings, labels, options),
        checks=_checks(asked.instrument, kept),
    )


def mean_options(readings: Readings) -> float:
    """The mean number of options of the questions."""
    return float((~np.isnan(readings.labels[:, :, 0, 0])).sum(axis=1).mean())


def _means(by_sample: list[Means]) -> dict[str, Array]:
    """Each figure over all questions, and those that classes are told from over each sample."""
    found = {}
    for end, attribute in zip(ENDS, ("value", "low", "high"), strict=True):
        for name, mean in by_sample[0].items():
            axes, unit, _ = FIGURES[name]
            found[name + end] = array(getattr(mean, attribute), axes, unit)
        for name in BY_SAMPLE:
            axes, unit, _ = FIGURES[name]
            values = np.stack([getattr(sample[name], attribute) for sample in by_sample])
            found[f"sample_{name}{end}"] = array(values, ("sample", *axes), unit)
    return found


def _classes(by_sample: list[Means], options: float) -> dict[str, Array]:
    found = {}
    for after, first in (("", 1), ("_right", 4)):
        verdicts: Verdicts = classify(by_sample[first], by_sample[first + 1], options, Thresholds())
        for name, axes in (
            ("class", ("class", "layer", "head")),
            ("single", ("label", "layer", "head")),
            ("fixed", ("label", "layer", "head")),
            ("negative", ("layer", "head")),
        ):
            values = verdicts.classes if name == "class" else getattr(verdicts, name)
            found[name + after] = array(values.astype(np.float32), axes, "0 or 1")
    return found


def _per_question(readings: Readings, kept: Kept) -> dict[str, Array]:
    found = {}
    for name, (axes, unit, _) in PER_QUESTION.items():
        of_kept = name in kept.arrays
        values: NDArray[Any] = kept.arrays[name][: kept.done] if of_kept else getattr(readings, name)
        prefix = "" if len(axes) == 1 else "questions_"
        found[f"{prefix}{name}"] = array(values, axes, unit)
    return found


def _scalars(asked: Asked, readings: Readings, labels: tuple[str, ...], options: float) -> dict[str, Any]:
    count, hits = len(readings.right), int((readings.predicted == readings.right).sum())
    interval = share_interval(hits, count)
    said = np.bincount(readings.predicted, minlength=len(labels)) / count
    right = np.bincount(readings.right, minlength=len(labels)) / count
    sizes = (~np.isnan(readings.labels[:, :, 0, 0])).sum(axis=1)
    chance = max(float((1 / sizes).mean()), float(said @ right))
    return {
        "count": count,
        "accuracy": as_scalar(interval),
        "chance": chance,
        "at_chance": interval[1] <= chance,
        "options": options,
        "with_effects": int((~np.isnan(readings.total[:, 0, 0])).sum()),
        "without_effects": list(asked.without_effects),
        "markers_even": asked.outside.markers_even if asked.outside.markers_even >= 0 else None,
        "questions": [
            {
                "stem": question.stem,
                "answer": labels[answer],
                "predicted": labels[said_one],
            }
            for question, answer, said_one in zip(
                asked.task.questions, readings.right.tolist(), readings.predicted.tolist(), strict=False
            )
        ],
    }


def _checks(instrument: Instrument, kept: Kept) -> dict[str, tuple[float, float]]:
    limits = tolerance(instrument)
    part = {name: values[: kept.done] for name, values in kept.arrays.items()}
    found = {
        "identity_error": (worst(part["identity_error"].tolist()), limits.identity),
        "pattern_error": (worst(part["pattern_error"].tolist()), limits.activations),
    }
    swept = ~np.isnan(part[EFFECTS[0]][:, 0, 0])
    if swept.any():
        found["oracle_error"] = (worst(part["oracle_error"][swept].tolist()), limits.logits)
        found["additivity_error"] = (worst(part["additivity_error"][swept].tolist()), limits.identity)
    return found
