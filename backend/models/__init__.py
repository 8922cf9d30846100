"""Models: the catalogue, downloading and unpacking, and loading one into memory."""

from backend.models.catalogue import SMALL_MODEL, CatalogueModel, catalogue
from backend.models.fetch import fetch
from backend.models.load import RunnableModel, load, prepare, release
from backend.models.memory_check import memory_need
from backend.models.resolve import Resolved, resolve

__all__ = [
    "SMALL_MODEL",
    "CatalogueModel",
    "Resolved",
    "RunnableModel",
    "catalogue",
    "fetch",
    "load",
    "memory_need",
    "prepare",
    "release",
    "resolve",
]
