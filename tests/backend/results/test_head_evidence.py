"""Evidence agrees with the classes that it stands beside."""

import numpy as np

from backend.results.head_classes import CLASSES, Thresholds, classify
from backend.results.head_evidence import Comparison, evidence
from backend.results.head_figures import Mean
from tests.backend.results.test_head_classes import BY_LETTER, CORRECT, SINGLE, figures

AT = Thresholds()


def drawn(seed: int) -> dict[str, Mean]:
    """Random figures of 10 layers with 20 heads, in which each test holds for some."""
    generator = np.random.default_rng(seed)
    made = {}
    for name in (*SINGLE, *BY_LETTER):
        value = generator.uniform(0, 1, (4, 10, 20) if name in BY_LETTER else (10, 20))
        value = value - 0.5 if name in ("net", "content", "leader", "net_right", "net_wrong") else value
        made[name] = Mean(value, value - 0.02, value + 0.02)
    made["right_label_share"] = Mean(*[made["right_label_share"].value ** 0.3] * 3)
    made["wrong_label_share"] = Mean(*[made["wrong_label_share"].value * 0.7] * 3)
    made["direct"] = Mean(*[made["direct"].value * 0.3] * 3)
    return made


def holding(comparisons: list[Comparison], name: str) -> bool:
    return all(one.holds for one in comparisons if one.name == name)


def test_a_class_holds_where_all_its_tests_do() -> None:
    first, second = drawn(0), drawn(0)
    verdicts = classify(first, second, 4, AT)
    seen = dict.fromkeys(CLASSES, 0)
    for place in np.ndindex(10, 20):
        found = evidence(first, second, 4, AT, (place[0], place[1]))
        for name in ("correct letter", "constant", "amplification", "content gatherer"):
            holds = bool(verdicts.classes[list(CLASSES).index(name)][place])
            assert holding(found, name) == holds, (place, name)
            seen[name] += holds
        if holding(found, "fixed letter, looks"):
            assert verdicts.classes[-1][place]
        assert holding(found, "single letter") == bool(verdicts.classes[1][place])
    assert all(seen[name] for name in ("correct letter", "constant", "amplification", "content gatherer"))


def test_the_figure_of_each_half_stands_beside_the_threshold() -> None:
    (mass, *_) = evidence(figures(**CORRECT), figures(**CORRECT | {"label_mass": 0.1}), 4, AT, (0, 0))
    assert (mass.name, mass.figure, mass.sign, mass.threshold) == (
        "correct letter",
        "attention to labels",
        "≥",
        0.3,
    )
    assert (round(mass.first, 3), round(mass.second, 3), mass.holds) == (0.3, 0.1, False)


def test_what_is_not_known_does_not_hold() -> None:
    found = evidence(figures(total=np.nan), figures(total=np.nan), 4, AT, (0, 0))
    assert not any(one.holds for one in found if one.figure == "total effect")
