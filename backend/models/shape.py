"""A model's number of layers, heads and so on, from its config, before anything is loaded."""

from dataclasses import asdict
from functools import lru_cache

from backend.contract.errors import shown
from backend.models.families import Shape, listed_family
from backend.models.pretrained import pretrained_config, unusable
from backend.models.resolve import Resolved
from backend.models.weights import read_weights


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
    _check_layers(resolved, getattr(config, "num_hidden_layers", None))
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


def _check_layers(resolved: Resolved, layers: object) -> None:
    """Refuse more layers than there are tensors, before such a model is built, which would take for ever."""
    assert resolved.folder is not None
    tensors = read_weights(resolved.folder).tensors
    if isinstance(layers, int) and layers > tensors:
        raise unusable(
            resolved, f"its config gives {layers:,} layers, and its weights are {tensors:,} tensors"
        )
