"""Log-probabilities over 150,000 tokens against float64, for logits that a plain float32 sum gets wrong."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

import backend
from backend.engine.log_probability import log_normalizer, log_probabilities

TOKENS = 150_000


def one_above(background: Tensor, top: float) -> Tensor:
    logits = background.clone()
    logits[5] = top
    return logits


NOISE = torch.randn(TOKENS, generator=torch.Generator().manual_seed(0))
LOGITS = {
    "one above zeros": one_above(torch.zeros(TOKENS), 17),
    "one above noise": one_above(NOISE / 2, 17),
    "nearly equal": one_above(NOISE / 100 - 3, 9.3),
    "all equal": torch.full((TOKENS,), -7.3),
    "normal": 3 * NOISE + 10,
    "far apart": 10 * NOISE,
    "padded": one_above(torch.zeros(TOKENS), 17).index_fill(0, torch.arange(9_000), float("-inf")),
}


@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
def test_sums_over_the_vocabulary_are_those_of_float64(logits: Tensor) -> None:
    exact = torch.logsumexp(logits.double(), -1)
    assert float(log_normalizer(logits)) == pytest.approx(float(exact), abs=1e-6)
    torch.testing.assert_close(log_normalizer(logits.repeat(3, 1)), exact.expand(3), rtol=0, atol=1e-6)
    torch.testing.assert_close(log_probabilities(logits), logits.double() - exact, rtol=0, atol=1e-12)


def test_the_plain_sum_is_wrong_here() -> None:
    """If torch's own is right one day, ours is not needed."""
    logits = LOGITS["one above zeros"]
    error = torch.log_softmax(logits, -1).double() - log_probabilities(logits)
    assert error.abs().max() > 1e-5


def test_extremes_and_gradients() -> None:
    infinite = torch.full((2, 5), float("-inf"))
    assert log_normalizer(infinite).tolist() == [float("-inf")] * 2
    infinite[0, 1] = float("inf")
    assert log_normalizer(infinite)[0] == float("inf")
    assert log_normalizer(torch.tensor([float("nan"), 1.0])).isnan()
    logits = torch.randn(3_000, requires_grad=True)
    (gradient,) = torch.autograd.grad(log_normalizer(logits), logits)
    torch.testing.assert_close(gradient, logits.detach().softmax(-1))


def test_there_is_no_second_formula() -> None:
    """torch's own remain for a row of attention and for the few labels, never for the vocabulary."""
    folder = Path(backend.__file__).parent
    used = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if re.search(r"\b(log_softmax|logsumexp)\(|cross_entropy\(", file.read_text())
    }
    assert used == {
        "analyses/patching/metrics.py",
        "analyses/subspace/low_rank.py",
        "engine/first_order.py",
    }
