"""The head atlas: known heads named, figures against those of other analyses, going on from a checkpoint, bad input."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.analyses import ANALYSES, Findings, Task
from backend.analyses.atlas.reading import Reading, read
from backend.analyses.atlas.schema import HEADS
from backend.contract.errors import Cancelled, QuestionError, RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import Progress, silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.results.checkpoint import Checkpoint
from backend.results.head_classes import CLASSES
from tests import hand_wired, hand_wired_heads, tiny

TEXT = {"kind": "text", "prompt": hand_wired_heads.DELTA}
SHUFFLED = {"kind": "shuffle_labels"}


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))


def task_of(asked: tuple[Question, ...], spec: PromptSpec = hand_wired.SPEC, **params: Any) -> Task:
    request = Request.build("heads", questions=asked, prompt=spec, params=params)
    HEADS.check(request)
    return Task(request, asked, ((),) * len(asked))


def found(instrument: Instrument, asked: tuple[Question, ...], **params: Any) -> Findings:
    return HEADS.run(instrument, task_of(asked, **params), silent)


def named(result: Findings, array: str = "class") -> Mapping[HeadRef, list[str]]:
    classes: dict[HeadRef, list[str]] = {}
    for name, of_class in zip(CLASSES, result.arrays[array].values, strict=True):
        for layer, head in np.argwhere(of_class).tolist():
            classes.setdefault(HeadRef(layer, head), []).append(name)
    return classes


@pytest.mark.sampled
@pytest.mark.parametrize("kind", hand_wired_heads.EXPECTED)
def test_known_heads_are_named_and_no_others(kind: str) -> None:
    instrument = Instrument(hand_wired_heads.hand_wired_head(kind))
    result = found(instrument, hand_wired_heads.questions(16), corruption=TEXT)
    expected = {head: [name] for head, name in hand_wired_heads.EXPECTED[kind].items()}
    assert named(result) == expected
    letters = {"single letter": ("single", (1, 2), "B"), "fixed letter": ("fixed", (1, 3), "A")}
    if kind in letters:
        array, head, letter = letters[kind]
        on = result.arrays[array].values[:, *head]
        assert [label for label, holds in zip("ABCD", on, strict=True) if holds] == [letter]
    for value, limit in result.checks.values():
        assert value < limit


def test_figures_are_those_of_the_other_analyses(instrument: Instrument) -> None:
    asked, spec = hand_wired_heads.questions(8), PromptSpec(template="plain")
    atlas = HEADS.run(instrument, task_of(asked, spec, corruption=SHUFFLED), silent).arrays
    other: dict[str, Any] = {}
    for name, params in (("attribution", {}), ("attention", {}), ("effects", {"corruption": SHUFFLED})):
        request = Request.build(name, questions=asked, prompt=spec, params=params)
        other |= ANALYSES[name].run(instrument, Task(request, asked, ((),) * 8), silent).arrays
    assert np.allclose(atlas["net"].values, other["net"].values, atol=1e-5)
    assert np.allclose(atlas["right_share"].values, other["right_share"].values, atol=1e-5)
    for kind in ("total", "direct", "indirect"):
        assert np.allclose(atlas[kind].values, other[f"heads_{kind}"].values[0], atol=1e-5)
        assert np.allclose(
            atlas[f"questions_mlp_{kind}"].values.mean(0), other[f"mlps_{kind}"].values[0], atol=1e-5
        )
    assert np.allclose(atlas["roles"].values.sum(0), 1, atol=1e-5)
    assert np.allclose(atlas["roles_weighted"].values.sum(0), 1, atol=1e-5)
    assert (atlas["net_low"].values <= atlas["net"].values + 1e-6).all()


def test_means_are_of_the_questions(instrument: Instrument) -> None:
    asked = hand_wired_heads.questions(8)
    arrays = HEADS.run(
        instrument, task_of(asked, PromptSpec(template="plain"), corruption=SHUFFLED), silent
    ).arrays
    assert np.allclose(arrays["total"].values, arrays["questions_total"].values.mean(0), atol=1e-5)
    half = arrays["half"].values == 0
    assert half.sum() == 4
    entropy = arrays["questions_entropy"].values
    assert np.allclose(arrays["entropy"].values, entropy.mean(0), atol=1e-5)
    mass = np.nansum(arrays["questions_labels"].values, axis=1)
    assert np.allclose(arrays["sample_label_mass"].values[1], mass[half].mean(0), atol=1e-5)


def test_scores_without_rotation_are_products_of_queries_and_keys(instrument: Instrument) -> None:
    asked = hand_wired_heads.questions(4)
    spec = PromptSpec(template="plain")
    result = HEADS.run(instrument, task_of(asked, spec, effects=False), silent)
    prompt = instrument.prompt(asked[2], spec)
    trace = instrument.trace(prompt.token_ids)
    key = trace.k[1, prompt.positions("label 3")[-1], 3 // 2]
    assert result.arrays["questions_scores"].values[2, 3, 1, 3] == pytest.approx(
        float(trace.q[1, -1, 3] @ key), rel=1e-4
    )


def test_outside_the_task_a_model_of_random_weights_has_shares(instrument: Instrument) -> None:
    arrays = HEADS.run(
        instrument,
        task_of(hand_wired_heads.questions(4), PromptSpec(template="plain"), effects=False),
        silent,
    ).arrays
    for name in ("induction", "previous_token", "first_token", "text_entropy", "markers"):
        assert ((arrays[name].values >= 0) & (arrays[name].values <= 1)).all()


def test_without_effects_there_are_none(instrument: Instrument) -> None:
    result = found(instrument, hand_wired_heads.questions(4), effects=False)
    assert np.isnan(result.arrays["total"].values).all()
    assert result.scalars["with_effects"] == 0
    assert "oracle_error" not in result.checks
    assert not result.arrays["class"].values[list(CLASSES).index("mediator")].any()


def test_questions_that_cannot_be_corrupted_are_named() -> None:
    instrument = Instrument(hand_wired_heads.hand_wired_head("correct letter"))
    asked = hand_wired_heads.questions(16)
    result = found(instrument, asked, corruption=TEXT)
    (left_out,) = result.scalars["without_effects"]
    assert left_out["stem"] == "pick delta . ."
    assert "the clean one" in left_out["reason"]
    assert result.scalars["with_effects"] == 15
    assert result.scalars["count"] == 16


def test_a_letter_that_is_never_right_is_nan() -> None:
    instrument = Instrument(hand_wired_heads.hand_wired_head("correct letter"))
    asked = tuple(question for question in hand_wired_heads.questions(16) if question.answer != 3)
    result = found(instrument, asked, corruption=TEXT)
    share = result.arrays["right_label_share"].values
    assert np.isnan(share[3]).all()
    assert not np.isnan(share[:3]).any()
    assert named(result)[HeadRef(1, 2)] == ["correct letter"]


def test_options_of_different_number(instrument: Instrument) -> None:
    asked = list(hand_wired_heads.questions(8))
    asked[0] = replace(asked[0], options=asked[0].options[:2])
    result = found(instrument, tuple(asked), effects=False)
    assert np.isnan(result.arrays["questions_labels"].values[0, 2:]).all()
    assert not np.isnan(result.arrays["label_mass"].values).any()
    assert result.scalars["options"] == 3.75


def test_one_question_has_no_intervals_and_no_classes(instrument: Instrument) -> None:
    result = found(instrument, hand_wired_heads.questions(1), effects=False)
    assert np.isnan(result.arrays["net_low"].values).all()
    assert not result.arrays["class"].values.any()


def test_a_model_at_chance_is_told(instrument: Instrument) -> None:
    assert found(instrument, hand_wired_heads.questions(16), effects=False).scalars["at_chance"] is True


def test_a_question_without_a_right_answer_is_refused(instrument: Instrument) -> None:
    unknown = replace(hand_wired_heads.questions(1)[0], answer=None)
    request = Request.build("heads", questions=(unknown,), prompt=hand_wired.SPEC)
    with pytest.raises(QuestionError, match="without a right answer"):
        HEADS.check(request)


def test_more_than_memory_should_hold_is_refused(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.analyses.atlas.kept.MOST_BYTES", 10_000)
    with pytest.raises(RequestError, match="Use at most 4 questions"):
        found(instrument, hand_wired_heads.questions(8), effects=False)


def stopping(after: int) -> Progress:
    def progress(message: str, done: int = 0, total: int = 0) -> None:
        if message == "Going through the questions" and done >= after:
            raise Cancelled("Cancelled.")

    return progress


def test_it_goes_on_from_its_checkpoint(
    instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = hand_wired_heads.questions(8)
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    task = replace(task_of(asked, corruption=SHUFFLED), checkpoint=checkpoint)
    with pytest.raises(Cancelled):
        HEADS.run(instrument, task, stopping(5))
    assert int(checkpoint.load()["done"]) == 5
    traced: list[Reading] = []

    def reads(*given: Any) -> Reading:
        traced.append(read(*given))
        return traced[-1]

    monkeypatch.setattr("backend.analyses.atlas.heads.read", reads)
    again = HEADS.run(instrument, task, silent)
    assert len(traced) == 3
    whole = HEADS.run(instrument, task_of(asked, corruption=SHUFFLED), silent)
    for name, values in whole.arrays.items():
        assert np.array_equal(values.values, again.arrays[name].values, equal_nan=True), name
    assert again.scalars == whole.scalars


def test_what_is_known_so_far_is_shown(instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.analyses.atlas.heads.SHOW_SECONDS", 0.0)
    shown: list[Findings] = []
    task = replace(task_of(hand_wired_heads.questions(4), effects=False), show=shown.append)
    HEADS.run(instrument, task, silent)
    assert shown
    assert shown[0].scalars["count"] == 1
    assert shown[0].arrays["net"].values.shape == (3, 4)
