"""The tests of head classes, each on figures of one head that just pass or just fail."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backend.results.head_classes import CLASSES, MARKS, Thresholds, Verdicts, classify
from backend.results.head_figures import Mean

Figures = dict[str, Mean]
SINGLE = (
    "label_mass",
    "right_share",
    "label_entropy",
    "last_mass",
    "content",
    "net",
    "leader",
    "total",
    "direct",
)
BY_LETTER = (
    "letter_mass",
    "right_label_share",
    "wrong_label_share",
    "right_label_top",
    "net_right",
    "net_wrong",
)


def figures(**given: Any) -> Figures:
    """A head that does nothing, but for the figures given; each is its own interval unless it is a Mean."""
    made = {}
    for name in (*SINGLE, *BY_LETTER):
        value = given.get(name, 0.0)
        if isinstance(value, Mean):
            made[name] = value
            continue
        shape = (4, 1, 1) if name in BY_LETTER else (1, 1)
        array = np.broadcast_to(np.reshape(np.asarray(value, np.float32), (-1, 1, 1)[: len(shape)]), shape)
        made[name] = Mean(array, array, array)
    return made


def named(first: Figures, second: Figures | None = None) -> list[str]:
    return verdicts(first, second).named(0, 0)


def verdicts(first: Figures, second: Figures | None = None, thresholds: Thresholds | None = None) -> Verdicts:
    return classify(first, second or first, 4, thresholds or Thresholds())


LOOKS = {
    "label_mass": 0.3,
    "letter_mass": 0.3,
    "right_label_share": 0.6,
    "wrong_label_share": 0.2,
    "right_label_top": 0.6,
}
CORRECT = {**LOOKS, "net": 0.1}
ACTS = {"total": 0.06, "direct": 0.01}


def test_a_head_that_does_nothing_has_no_class() -> None:
    assert named(figures()) == []
    assert verdicts(figures()).main.tolist() == [[-1]]


@pytest.mark.parametrize(
    "change",
    [
        {"label_mass": 0.29},
        {"right_label_share": [0.6, 0.6, 0.6, 0.4]},
        {"right_label_top": [0.6, 0.6, 0.5, 0.6]},
        {"net": Mean(np.full((1, 1), 0.1), np.full((1, 1), -0.01), np.full((1, 1), 0.2))},
    ],
)
def test_correct_letter(change: dict[str, Any]) -> None:
    assert named(figures(**CORRECT)) == ["correct letter"]
    assert "correct letter" not in named(figures(**CORRECT | change))
    assert named(figures(**CORRECT), figures(**CORRECT | change)) == []


def test_a_letter_that_is_never_right_is_not_asked_about() -> None:
    never = {"right_label_share": [0.6, 0.6, 0.6, np.nan], "right_label_top": [0.6, 0.6, 0.6, np.nan]}
    assert named(figures(**CORRECT | never)) == ["correct letter"]
    once = {"right_label_share": [0.6, np.nan, np.nan, np.nan]}
    assert named(figures(**CORRECT | once)) == []


def test_single_letter_names_it() -> None:
    one = {**LOOKS, "right_label_share": [0.3, 0.6, 0.3, 0.3]}
    assert named(figures(**one)) == ["single letter"]
    assert verdicts(figures(**one)).single[:, 0, 0].tolist() == [False, True, False, False]
    assert named(figures(**one | {"right_label_share": [0.6, 0.6, 0.3, 0.3]})) == []
    assert named(figures(**one), figures(**one | {"right_label_share": [0.6, 0.3, 0.3, 0.3]})) == []
    assert named(figures(**one | {"letter_mass": 0.2})) == []


def test_constant() -> None:
    spread = {"label_mass": 0.4, "label_entropy": 0.95, "right_share": 0.3}
    assert named(figures(**spread)) == ["constant"]
    assert named(figures(**spread | {"right_share": 0.4})) == []
    assert named(figures(**spread | {"label_entropy": 0.85})) == []


def test_amplification() -> None:
    boosts = {"last_mass": 0.6, "leader": 0.02}
    assert named(figures(**boosts)) == ["amplification"]
    assert named(figures(**boosts | {"leader": 0.005})) == []
    assert named(figures(**boosts | {"last_mass": 0.4})) == []


def test_gatherer_and_mediator_differ_in_what_they_look_at() -> None:
    assert named(figures(**ACTS)) == ["mediator"]
    assert named(figures(**ACTS, content=0.1)) == ["content gatherer"]
    assert named(figures(total=-0.06)) == ["mediator"]
    assert named(figures(total=-0.06, content=0.1)) == []
    assert named(figures(total=0.06, direct=0.03)) == []
    assert named(figures(**ACTS | CORRECT)) == ["correct letter"]


def test_without_effects_there_is_neither() -> None:
    assert named(figures(total=np.nan, direct=np.nan, content=0.1)) == []


def test_fixed_letter_looks_or_writes() -> None:
    looks = {
        "label_mass": 0.5,
        "wrong_label_share": [0.7, 0.1, 0.1, 0.1],
        "right_label_share": [0.8, 0.1, 0.1, 0.1],
    }
    assert named(figures(**looks)) == ["fixed letter"]
    assert verdicts(figures(**looks)).fixed[:, 0, 0].tolist() == [True, False, False, False]
    writes = {"net_right": [0, 0, 0.3, 0], "net_wrong": [0, 0, 0.2, 0]}
    assert named(figures(**writes)) == ["fixed letter"]
    assert named(figures(net_right=[0, 0, -0.3, 0], net_wrong=[0, 0, -0.2, 0])) == ["fixed letter"]
    assert named(figures(net_right=[0, 0, 0.3, 0], net_wrong=[0, 0, -0.2, 0])) == []
    # It writes five times as much where the letter is right: that is no fixed letter.
    assert named(figures(net_right=[0, 0, 0.5, 0], net_wrong=[0, 0, 0.1, 0])) == []


def test_negative_is_told_beside_the_class() -> None:
    assert verdicts(figures(net=-0.1)).negative.tolist() == [[True]]
    assert verdicts(figures(net=-0.01)).negative.tolist() == [[False]]


def test_several_classes_may_hold() -> None:
    both = {**CORRECT, "last_mass": 0.6, "leader": 0.02}
    assert named(figures(**both)) == ["correct letter", "amplification"]


def test_thresholds_decide() -> None:
    for name, value in {"mass": 0.31, "gap": 0.45, "top": 0.7}.items():
        changed = replace(Thresholds(), **{name: value})
        assert verdicts(figures(**CORRECT), thresholds=changed).named(0, 0) == []


def test_every_class_has_a_mark_of_its_own() -> None:
    assert len({*MARKS}) == len(MARKS) == len(CLASSES)
