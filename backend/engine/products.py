"""Matrix products in float32 by oneDNN, on processors where torch by itself takes slower ones.

Torch has MKL for these products, and MKL is slower on AMD's processors than on Intel's: there oneDNN, which torch has
as well, is faster from a dozen rows up (`scripts/bench products`). A model's modules take it only while they are
called for cones. A trace does without, so that its logits are the plain model's to the last bit.
"""

import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


@contextmanager
def fast_products(modules: Iterable[nn.Module]) -> Iterator[bool]:
    """While inside, the linear layers among `modules` take the faster product; none where gradients are wanted.

    Gives whether there are any. One whose `forward` somebody has replaced is left alone.
    """
    taken = [module for module in modules if _suits(module)]
    for module in taken:
        vars(module)["forward"] = partial(by_one_dnn, matrix=module.weight, bias=module.bias)
    try:
        yield bool(taken)
    finally:
        for module in taken:
            vars(module).pop("forward", None)


def usual_rows(rows: int) -> int:
    """The next larger of the numbers of rows that oneDNN is called with.

    It compiles a kernel for each number of rows, two thirds of a millisecond and half a megabyte; eight numbers an
    octave are enough.

    >>> [usual_rows(rows) for rows in (1, 17, 250, 500, 900)]
    [16, 32, 256, 512, 960]
    """
    step = max(16, (1 << rows.bit_length()) // 16)
    return -(-rows // step) * step


def filler_rows(rows: int, modules: Iterable[nn.Module]) -> int:
    """How many rows of zeros to add to a batch before it goes through modules, so that not each fast product has to."""
    return usual_rows(rows) - rows if any(map(_suits, modules)) else 0


@cache
def _helps() -> bool:
    try:
        maker = Path("/proc/cpuinfo").read_text()
    except OSError:
        maker = platform.processor()
    return "AuthenticAMD" in maker and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def by_one_dnn(rows: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` by oneDNN, with rows of zeros up to one of the usual numbers."""
    count = rows.numel() // rows.shape[-1]
    if not count:
        return linear(rows, matrix, bias)
    more = usual_rows(count) - count
    if not more:
        return _product(rows, matrix, bias)
    flat = rows.reshape(count, -1)
    product = _product(torch.cat([flat, flat.new_zeros(more, flat.shape[1])]), matrix, bias)
    return product[:count].view(*rows.shape[:-1], len(matrix))


def _product(rows: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise.default(rows, matrix, bias, "none", [], "")
    return product


def _suits(module: nn.Module) -> TypeGuard[nn.Linear]:
    return (
        type(module) is nn.Linear
        and _helps()
        and "forward" not in vars(module)
        and not torch.is_grad_enabled()
        and all(each is None or _plain(each) for each in (module.weight, module.bias))
    )


def _plain(weight: Tensor) -> bool:
    return (
        type(weight) is nn.Parameter
        and weight.dtype == torch.float32
        and weight.device.type == "cpu"
        and weight.is_contiguous()
    )
