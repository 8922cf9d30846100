"""A model's sizes, told by its config: before anything of it is loaded."""

from functools import lru_cache

from backend.models.families import Shape, listed_family
from backend.models.load import read_config
from backend.models.resolve import Resolved


def known_shape(resolved: Resolved) -> Shape | None:
    """None where the model is not here yet, or its family is not listed.

    Raises ModelError where the config cannot be used.
    """
    if resolved.folder is None:
        return None
    return _shape(resolved, (resolved.folder / "config.json").stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _shape(resolved: Resolved, changed: int) -> Shape | None:
    config = read_config(resolved)
    family = listed_family(config)
    return None if family is None else family.shape_by(config)
