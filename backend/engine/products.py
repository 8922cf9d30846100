"""Matrix products in float32 by oneDNN, on processors where torch by itself takes slower ones.

Torch has MKL for these products, and MKL is slower on AMD's processors than on Intel's: there oneDNN, which torch has
as well, is faster from a dozen rows up (`scripts/bench products`). The model's modules stay as they are: who calls one
says for how long. A trace does without, so that its logits are the plain model's to the last bit.
"""

import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode


def fast_products() -> AbstractContextManager[Any]:
    """While it is open, linear layers called on this thread take the faster product; without gradients only."""
    return _ByOneDnn() if _helps() else nullcontext()


def usual_rows(rows: int) -> int:
    """The next larger of the numbers of rows that oneDNN is called with.

    It compiles a kernel for each number of rows, a millisecond and half a megabyte; eight numbers an octave are enough.

    >>> [usual_rows(rows) for rows in (1, 17, 250, 500, 900)]
    [16, 32, 256, 512, 960]
    """
    step = max(16, (1 << rows.bit_length()) // 16)
    return -(-rows // step) * step


@cache
def _helps() -> bool:
    try:
        maker = Path("/proc/cpuinfo").read_text()
    except OSError:
        maker = platform.processor()
    return "AuthenticAMD" in maker and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _ByOneDnn(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is linear and not kwargs and _suits(*args):
            return by_one_dnn(*args)
        return func(*args, **(kwargs or {}))


def by_one_dnn(rows: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` by oneDNN, with rows of zeros up to one of the usual numbers."""
    flat = rows.reshape(-1, rows.shape[-1])
    more = usual_rows(len(flat)) - len(flat)
    padded = torch.cat([flat, flat.new_zeros(more, flat.shape[1])]) if more else flat.contiguous()
    product: Tensor = torch.ops.mkldnn._linear_pointwise(padded, matrix, bias, "none", [], "")
    return product[: len(flat)].view(*rows.shape[:-1], len(matrix))


def _suits(rows: Tensor, matrix: Tensor, bias: Tensor | None = None) -> bool:
    given = [each for each in (rows, matrix, bias) if each is not None]
    return (
        not torch.is_grad_enabled()
        and rows.numel() > 0
        and matrix.is_contiguous()
        and all(
            each.dtype == torch.float32 and each.device.type == "cpu" and type(each) in (Tensor, nn.Parameter)
            for each in given
        )
    )
