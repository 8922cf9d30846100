"""How often each letter is right, and means that do not hang on it."""

from typing import Any

import numpy as np
import pytest

from backend.analyses import ANALYSES, Task
from backend.analyses.intervals import letters_alike, mean_interval
from backend.analyses.right_letters import right_letters
from backend.contract.progress import silent
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired


def task(name: str, questions: tuple[Any, ...]) -> Task:
    request = Request.build(name, questions=questions, prompt=hand_wired.SPEC)
    return Task(request, questions, ((),) * len(questions))


def test_letters_are_counted() -> None:
    questions = tuple(hand_wired.question(right) for right in (0, 0, 0, 1))
    assert right_letters(task("attribution", questions)) == {
        "right_letters": {"A": 3, "B": 1, "C": 0, "D": 0},
        "letters_weigh_alike": True,
    }
    assert right_letters(task("check-model", questions))["letters_weigh_alike"] is False
    one = Request.build("attribution", question=questions[0])
    assert right_letters(Task(one, (questions[0],), ((),))) == {}
    assert right_letters(Task(Request.build("self-check"), (), ())) == {}


@pytest.mark.parametrize("name", ["attribution", "attention", "effects"])
def test_a_mean_is_that_of_the_means_by_letter(hand_wired_instrument: Instrument, name: str) -> None:
    """A letter that is right three times as often counts no more than another."""
    assert ANALYSES[name].letters_alike

    def means(*rights: int) -> dict[str, Any]:
        asked = task(name, tuple(hand_wired.question(right) for right in rights))
        found = ANALYSES[name].run(hand_wired_instrument, asked, silent)
        return {key: each.values for key, each in found.arrays.items() if not key.endswith(("_low", "_high"))}

    uneven, first, second = means(0, 0, 0, 1), means(0), means(1)
    assert any(np.abs(first[key] - second[key]).max() > 1e-3 for key in first)
    for key, values in uneven.items():
        np.testing.assert_allclose(values, (first[key] + second[key]) / 2, atol=1e-5)


def test_the_interval_of_a_weighted_mean() -> None:
    samples = np.random.default_rng(0).normal(size=(40, 3))
    plain = mean_interval(samples)
    for one, other in zip(mean_interval(samples, letters_alike([0, 1] * 20)), plain, strict=True):
        np.testing.assert_allclose(one, other)
    half = 1.959964 * samples.std(axis=0, ddof=1) / np.sqrt(40)
    np.testing.assert_allclose(plain[2] - plain[0], half)


def test_the_interval_of_a_weighted_mean_covers_it() -> None:
    """3 letters right 40, 10 and 10 times, of means 0, 1 and 2: the 95 % interval holds 1 in about 95 % of draws."""
    rights, generator = [0] * 40 + [1] * 10 + [2] * 10, np.random.default_rng(1)
    samples = np.array(rights)[:, None] + generator.normal(size=(60, 4_000))
    mean, low, high = mean_interval(samples, letters_alike(rights))
    assert abs(mean.mean() - 1) < 0.01
    assert 0.94 < ((low < 1) & (high > 1)).mean() <= 1
