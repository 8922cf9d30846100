"""A parameter of an analysis, and the kinds of values that are objects with parameters of their own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.contract.asked import Asked
from backend.contract.errors import RequestError, shown
from backend.contract.kinds import Kind, listed

NEEDED = object()
"""The default of what has none: it has to be given."""


@dataclass(frozen=True)
class Param:
    """One parameter.

    Attributes:
        name: as requests name it.
        kind: what values it takes.
        help: what it decides, one sentence.
        default: the value where nothing is given; None: nothing, `usual` says what then holds.
        usual: the default in words, where its value does not say enough.
        only: "question" where it goes with one question only.
        decides: whether it changes a number of the result. One that does not is no part of a canonical request.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    usual: str = ""
    only: str = ""
    decides: bool = True


def read_all(where: str, params: Sequence[Param], given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """Every parameter's canonical value by its name; names are looked up before.

    Raises RequestError for a value that its kind does not take, and for one that is needed and missing.
    """
    values: dict[str, Any] = {}
    for param in params:
        if param.default is NEEDED and param.name not in given:
            raise RequestError(f"{where} needs {param.name}: {param.kind.says}.")
        value = given.get(param.name, param.default)
        if param.name in given or param.default is not None:
            value = param.kind.read(f"{where}.{param.name}", value, asked)
        values[param.name] = value
    return values


def given_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that are None: nothing was given, and nothing holds by default."""
    return {name: value for name, value in values.items() if value is not None}


def deciding(params: Sequence[Param], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of these values those that decide a number."""
    decides = {param.name for param in params if param.decides}
    return {name: value for name, value in given_only(values).items() if name in decides}


@dataclass(frozen=True)
class Fields:
    """An object with named fields."""

    fields: tuple[Param, ...]

    @property
    def says(self) -> str:
        return f"an object with {listed([field.name for field in self.fields])}"

    def read(self, where: str, value: object, asked: Asked) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise RequestError(f"{where} must be {self.says}, not {shown(value)}.")
        names = [field.name for field in self.fields]
        for name in value:
            if name not in names:
                raise RequestError(f"{where} has no field {shown(name)}. Fields: {', '.join(names)}.")
        return given_only(read_all(where, self.fields, value, asked))


@dataclass(frozen=True)
class Variant:
    """One kind of an object that says its `kind`: its fields, and a rule over them.

    `rule` gets the fields' canonical values and the request; it returns the values that decide.
    """

    name: str
    help: str
    fields: tuple[Param, ...] = ()
    rule: Callable[[dict[str, Any], Asked], dict[str, Any]] = lambda values, asked: values


@dataclass(frozen=True)
class Variants:
    """An object with a `kind`, and the fields of that kind. `noun` is what the object is called."""

    noun: str
    variants: Mapping[str, Variant]

    @property
    def says(self) -> str:
        return "an object with a kind"

    def read(self, where: str, value: object, asked: Asked) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise RequestError(f"{where} must be {self.says}, not {shown(value)}.")
        variant = self.named(value.get("kind"))
        names = [field.name for field in variant.fields]
        for name in value:
            if name != "kind" and name not in names:
                raise RequestError(f"The {self.noun} {variant.name} has no field {shown(name)}.")
        values = read_all(where, variant.fields, value, asked)
        return {"kind": variant.name, **given_only(variant.rule(values, asked))}

    def named(self, kind: object) -> Variant:
        """The variant of that name. Raises RequestError that lists them."""
        if not isinstance(kind, str) or kind not in self.variants:
            raise RequestError(
                f"There is no {self.noun} {shown(kind)}. Choose one of {', '.join(self.variants)}."
            )
        return self.variants[kind]
