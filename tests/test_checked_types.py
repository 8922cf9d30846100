"""While tests run, annotations are checked."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import checked_types

MODULE = '''
"""Of each kind one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float
from torch import Tensor


class Named(Protocol):
    name: str


@dataclass(frozen=True)
class Pair:
    first: int

    @property
    def text(self) -> str:
        return self.first


def product(left: Float[Tensor, "row inner"], right: Float[Tensor, "inner column"]) -> Float[Tensor, "row column"]:
    return left @ right


def transposed(matrix: Float[Tensor, "row column"]) -> Float[Tensor, "column row"]:
    return matrix


def half(number: float) -> float:
    return number / 2


def greet(one: Named) -> str:
    return one.name


@contextmanager
def numbered(number: int) -> Iterator[int]:
    yield number


def outer() -> object:
    def inner(number: int) -> int:
        return number

    return inner("made anew with each call, and so not checked")
'''


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> object:
    """That module, loaded with checks."""

    folder = tmp_path_factory.mktemp("modules")
    (folder / "checked_sample.py").write_text(MODULE, encoding="utf-8")
    before = list(sys.meta_path), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        checked_types.install("checked_sample")
        return importlib.import_module("checked_sample")
    finally:
        sys.meta_path[:], sys.path[:] = before


def test_what_fits_passes(sample: object) -> None:

    of = vars(sample)
    assert of["product"](torch.ones(2, 3), torch.ones(3, 4)).shape == (2, 4)
    assert of["transposed"](torch.ones(2, 2)).shape == (2, 2)
    assert of["half"](1) == 0.5
    assert of["greet"](Path("a")) == "a"
    with of["numbered"](1) as number:
        assert number == 1
    assert of["outer"]()


WRONG: dict[str, Callable[[dict[str, Any], Callable[..., torch.Tensor]], object]] = {
    "an axis of two lengths": lambda of, ones: of["product"](ones(2, 3), ones(4, 4)),
    "a result of another shape": lambda of, ones: of["transposed"](ones(2, 3)),
    "an argument": lambda of, ones: of["half"]("1"),
    "a field": lambda of, ones: of["Pair"]("1"),
    "a property": lambda of, ones: of["Pair"](1).text,
    "a protocol": lambda of, ones: of["greet"](1),
    "what a context manager is given": lambda of, ones: of["numbered"]("1").__enter__(),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_does_not_fit_is_refused(sample: object, kind: str) -> None:

    with pytest.raises(Exception, match=r"violates type hint|Type-check error"):
        WRONG[kind](vars(sample), torch.ones)


def test_too_late() -> None:
    with pytest.raises(RuntimeError, match=r"backend\.contract"):
        checked_types.install("backend.contract")
    assert not any(getattr(finder, "packages", ()) == ("backend.contract.",) for finder in sys.meta_path)


def test_our_packages_are_checked() -> None:
    from backend.contract.head import HeadRef

    with pytest.raises(Exception, match="violates type hint"):
        HeadRef("1", 2)  # type: ignore[arg-type]  # wrong on purpose
