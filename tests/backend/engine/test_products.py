"""The faster product gives the same numbers, and is taken only where it may be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from backend.engine import products
from backend.engine.products import fast_products, filler_rows, kernel_rows

needs_one_dnn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN"
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of rows that took the faster product, as on a processor where it helps."""
    seen: list[torch.Size] = []
    real = products.by_one_dnn

    def counted(rows: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        seen.append(rows.shape)
        return real(rows, matrix, bias)

    monkeypatch.setattr(products, "_helps", lambda: True)
    monkeypatch.setattr(products, "by_one_dnn", counted)
    return seen


@needs_one_dnn
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "shape", [(1, 48), (7, 48), (16, 48), (2, 5, 48), (2, 8, 48), (1, 512, 48), (1, 520, 48)]
)
def test_same_numbers(shape: tuple[int, ...], bias: bool, calls: list[torch.Size]) -> None:
    torch.manual_seed(0)
    layer, rows = nn.Linear(48, 96, bias=bias), torch.randn(shape)
    with torch.no_grad():
        plain = layer(rows)
        with fast_products([layer]) as faster:
            fast = layer(rows)
            turned = layer(rows.transpose(-1, 0).contiguous().transpose(-1, 0))
        after = layer(rows)
    assert faster
    assert len(calls) == 2
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(turned, plain, rtol=1e-5, atol=1e-6)
    assert torch.equal(after, plain)


class _Doubled(nn.Linear):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(rows)


@needs_one_dnn
def test_a_layer_of_another_kind_or_that_somebody_has_replaced_is_left_alone(calls: list[torch.Size]) -> None:
    replaced = nn.Linear(8, 4)
    vars(replaced)["forward"] = lambda rows: rows + 1
    rows = torch.ones(3, 8)
    with torch.no_grad(), fast_products([replaced, _Doubled(8, 4), nn.LayerNorm(8)]) as faster:
        assert torch.equal(replaced(rows), rows + 1)
    assert not faster
    assert torch.equal(replaced(rows), rows + 1)
    assert not calls


@needs_one_dnn
def test_a_layer_is_plain_again_after_an_error(calls: list[torch.Size]) -> None:
    layer = nn.Linear(8, 4)
    with torch.no_grad(), pytest.raises(RuntimeError, match="primitive"), fast_products([layer, layer]):
        layer(torch.ones(3, 9))
    layer(torch.ones(3, 8))
    assert len(calls) == 1


@needs_one_dnn
def test_a_batch_is_filled_only_where_a_layer_takes_the_faster_product(calls: list[torch.Size]) -> None:
    layer, half = nn.Linear(8, 4), nn.Linear(8, 4, dtype=torch.bfloat16)
    assert filler_rows(17, [layer]) == 0
    with torch.no_grad():
        assert filler_rows(17, [half, layer]) == 15
        assert filler_rows(17, [half, _Doubled(8, 4)]) == 0


@needs_one_dnn
def test_no_rows(calls: list[torch.Size]) -> None:
    layer = nn.Linear(8, 4)
    with torch.no_grad(), fast_products([layer]):
        assert layer(torch.randn(0, 8)).shape == (0, 4)
        assert layer(torch.randn(1, 0, 8)).shape == (1, 0, 4)


@needs_one_dnn
def test_left_alone_with_gradients_and_in_other_dtypes(calls: list[torch.Size]) -> None:
    layer, half = nn.Linear(8, 4), nn.Linear(8, 4, dtype=torch.bfloat16)
    with fast_products([layer]):
        layer(torch.randn(3, 8)).sum().backward()
    with torch.no_grad(), fast_products([half]):
        half(torch.randn(3, 8, dtype=torch.bfloat16))
    assert layer.weight.grad is not None
    assert not calls


def test_left_alone_where_it_does_not_help(calls: list[torch.Size], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_helps", lambda: False)
    layer = nn.Linear(8, 4)
    with torch.no_grad(), fast_products([layer]):
        layer(torch.randn(3, 8))
        assert filler_rows(700, [layer]) == 0
    assert not calls


@given(st.integers(1, 10_000))
def test_few_numbers_of_rows_are_usual(rows: int) -> None:
    usual = kernel_rows(rows)
    assert rows <= usual < max(rows + 16, 1.125 * rows + 1)
    assert kernel_rows(usual) == usual


def test_a_kernel_is_compiled_for_few_numbers_of_rows() -> None:
    assert len({kernel_rows(rows) for rows in range(1, 1345)}) == 35
