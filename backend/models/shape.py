"""A model's number of layers, heads and so on, from its config, before anything is loaded."""

from dataclasses import asdict
from functools import lru_cache

from backend.contract.errors import shown
from backend.models.families import Shape, listed_family
from backend.models.pretrained import pretrained_config, unusable
from backend.models.resolve import Resolved


def known_shape(resolved: Resolved) -> Shape | None:
    """The model's shape. None if the model is not downloaded yet, or its family is not listed.

    Raises ModelError if the config cannot be used.
    """
    if resolved.folder is None:
        return None
    return _shape(resolved, (resolved.folder / "config.json").stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _shape(resolved: Resolved, changed: int) -> Shape | None:
    config = pretrained_config(resolved)
    try:
        family = listed_family(config)
        shape = None if family is None else family.shape_by(config)
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        reason = f"its config gives no sizes ({type(error).__name__}: {shown(str(error), 300)})"
        raise unusable(resolved, reason) from error
    for name, size in {} if shape is None else asdict(shape).items():
        if name not in ("model_type", "parallel") and (type(size) is not int or size < 1):
            raise unusable(resolved, f"its config gives {name} = {shown(size)}, not a whole number above 0")
    return shape
