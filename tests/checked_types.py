"""Checks every call of our functions against its annotations, shapes included, while tests run.

jaxtyping's own import hook also decorates functions within functions. Those are made anew with each call, and the
engine's hooks are such: its tests took twice as long. Here only functions of modules and classes are decorated.
"""

import ast
import dataclasses
import inspect
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, Protocol, runtime_checkable

from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

# An int may stand for a float; of a sequence the first item is checked, not one drawn by chance.
values_checked = beartype(conf=BeartypeConf(is_pep484_tower=True, is_random=False))


def checked(thing: Any) -> Any:
    """A function that checks arguments and result, a dataclass that checks its fields, or a protocol to check by."""
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and "__init__" in vars(thing):
            type.__setattr__(thing, "__init__", checked(vars(thing)["__init__"]))
        return runtime_checkable(thing) if Protocol in thing.__bases__ else thing
    # Axes of one name have one length within one call. Only jaxtyping knows, and it costs more.
    if "jaxtyping." in repr(list(inspect.get_annotations(thing).values())):
        return jaxtyped(thing, typechecker=values_checked)
    return values_checked(thing)


class Loader(SourceFileLoader):
    """Loads a module from its source, with `checked` around functions and classes."""

    def path_stats(self, path: str) -> dict[str, Any]:
        """Neither read nor write compiled files: those are of the plain module."""
        raise OSError

    def source_to_code(  # type: ignore[override]  # typeshed has it static; importlib calls it on the loader
        self, data: Any, path: Any, *, _optimize: int = -1
    ) -> CodeType:
        tree = ast.parse(data, path)
        _decorate(tree.body)
        code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", optimize=_optimize)
        return code

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__checked__"] = checked
        super().exec_module(module)


def _decorate(body: Sequence[ast.stmt]) -> None:
    for node in body:
        decorator = ast.Name("__checked__", ast.Load())
        if isinstance(node, ast.ClassDef):
            _decorate(node.body)
            node.decorator_list.insert(0, decorator)  # outermost: after `dataclass`
        elif isinstance(node, ast.FunctionDef):
            node.decorator_list.append(
                decorator
            )  # innermost: before `contextmanager`, `property` and their like


class Finder(MetaPathFinder):
    """Finds modules whose names begin with one of `packages`, to be loaded with checks."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not f"{fullname}.".startswith(self.packages):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install(*packages: str) -> None:
    """From now on modules in `packages` are loaded with checks. Raises RuntimeError where one is loaded already."""
    inside = tuple(f"{package}." for package in packages)
    early = [name for name in sys.modules if name.startswith(inside)]
    if early:
        raise RuntimeError(f"These were imported before their types could be checked: {', '.join(early)}.")
    sys.meta_path.insert(0, Finder(inside))
