"""Float32 matrix products by oneDNN, on processors where torch's default is slower.

Torch multiplies with MKL, which is slower on AMD's processors than on Intel's. OneDNN, which torch contains too, is
faster there from a dozen rows up (`scripts/bench products`). A model's linear layers use it only while a cone calls
them. A trace does not use it, so that its logits equal the plain model's to the last bit.

OneDNN compiles a kernel for each number of rows, so we call it with few different numbers. Example: 250 rows go through
a linear layer from 896 to 4864 numbers. `kernel_rows(250)` is 256, so 6 rows of zeros are appended, `[256, 896]` is
multiplied, and the first 250 rows of the product are returned. For 256 rows nothing is appended or copied.
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
    """While inside, the linear layers among `modules` multiply by oneDNN. Yields whether there are any.

    Left out are layers whose `forward` was replaced by somebody else, and all layers while gradients are recorded.
    """
    faster = [module for module in modules if _suits(module)]
    for module in faster:
        vars(module)["forward"] = partial(by_one_dnn, matrix=module.weight, bias=module.bias)
    try:
        yield bool(faster)
    finally:
        for module in faster:
            vars(module).pop("forward", None)


def kernel_rows(rows: int) -> int:
    """`rows` rounded up to one of the numbers of rows that oneDNN is called with.

    A kernel for one number of rows takes two thirds of a millisecond and half a megabyte. There are eight numbers
    between each power of two and the next, and none that is not a multiple of 16.

    >>> [kernel_rows(rows) for rows in (1, 17, 250, 500, 900)]
    [16, 32, 256, 512, 960]
    """
    step = max(16, (1 << rows.bit_length()) // 16)
    return -(-rows // step) * step


def filler_rows(rows: int, modules: Iterable[nn.Module]) -> int:
    """How many rows of zeros to append to a batch before it goes through `modules`, so that no product has to do it.

    0 if none of them multiplies by oneDNN.
    """
    return kernel_rows(rows) - rows if any(map(_suits, modules)) else 0


@cache
def _helps() -> bool:
    try:
        maker = Path("/proc/cpuinfo").read_text()
    except OSError:
        maker = platform.processor()
    return "AuthenticAMD" in maker and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def by_one_dnn(rows: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` by oneDNN; float32 on the CPU, `[..., features]` to `[..., out features]`."""
    count = rows.numel() // rows.shape[-1]
    if not count:
        return linear(rows, matrix, bias)
    more = kernel_rows(count) - count
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
