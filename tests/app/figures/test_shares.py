from typing import Any

import numpy as np
import pytest

from app.figures.shares import answers_better, noise_of, shares_hold
from backend.contract.result import Result


def runs(clean: float, *corrupted: float, metric: str = "net_logit", limit: float = 1e-4) -> Result:
    scalars: dict[str, Any] = {
        "metric": metric,
        "clean": clean,
        "corrupted": float(np.mean(corrupted)),
        "draws": [{"note": "", "corrupted": one} for one in corrupted],
    }
    return Result({}, {}, {}, scalars, checks={"oracle_error": (1e-6, limit)})


@pytest.mark.parametrize(
    ("result", "noise"),
    [
        (runs(3, 1), 0.05),
        (runs(3, 1, limit=0.125), 0.125),
        (runs(0.5, 0.4, metric="probability"), 0.01),
        (runs(3, 0, 1, 2), 1 / 3**0.5),
    ],
)
def test_noise_is_the_largest_of_what_is_known(result: Result, noise: float) -> None:
    assert noise_of(result) == pytest.approx(noise)


@pytest.mark.parametrize(
    ("result", "hold"),
    [
        (runs(3, 1), True),
        (runs(0.013, 0.0), False),
        (runs(3, 2.9, limit=0.125), False),
        (runs(3, 0, 2.99), False),
        (runs(3, 1, 0.9), True),
        (runs(0.5, 0.45, metric="probability"), True),
    ],
)
def test_a_share_of_noise_does_not_hold(result: Result, *, hold: bool) -> None:
    assert shares_hold(result) == hold


def test_over_a_bank_the_means_decide() -> None:
    scalars = {"metric": "net_logit", "clean": 1.0, "corrupted": 0.99, "count": 5}
    assert not shares_hold(Result({}, {}, {}, scalars))


def test_which_run_answers_better() -> None:
    assert answers_better(runs(1, 2))
    assert not answers_better(runs(2, 1))
    assert answers_better(runs(2, 1, metric="loss"))
    assert not answers_better(runs(0, 1, metric="kl"))
