import math

import numpy as np
import pytest
import torch

from backend.analyses.patching.verification import agreement
from backend.analyses.tolerance import worst


def test_agreement_by_hand() -> None:
    estimated, swept = torch.tensor([1.0, 2.0, 4.0, 3.0]), torch.tensor([10.0, 20.0, 30.0, 40.0])
    found = agreement(estimated, swept)
    assert found["spearman"] == pytest.approx(0.8)
    assert found["pearson"] == pytest.approx(np.corrcoef([1, 2, 4, 3], [1, 2, 3, 4])[0, 1])
    assert (found["leaders"], found["leaders_found"]) == (4, 4)
    nothing = {"spearman": None, "pearson": None}
    assert agreement(estimated[:2], swept[:2]).items() >= nothing.items()
    assert agreement(torch.zeros(5), torch.arange(5.0)).items() >= nothing.items()
    # Of the ten largest by size, those are missed whose estimates are the smallest.
    sizes = torch.arange(1.0, 13.0) * torch.tensor([1, -1]).repeat(6)
    missed = agreement(torch.cat([sizes[:9], torch.tensor([0.1, 0.2, 0.3])]), sizes)
    assert (missed["leaders"], missed["leaders_found"]) == (10, 8)


def test_the_worst_of_figures_is_one_that_is_no_number() -> None:
    nan = float("nan")
    for figures in ([nan, 1.0], [1.0, nan], [0.0, nan, 2.0]):
        assert math.isnan(worst(figures))
    assert worst(figure for figure in (1.0, 3.0, 2.0)) == 3
