"""The registry of architecture families. A new one is a new file here and one line in `FAMILIES`."""

from transformers import PreTrainedModel

from backend.errors import ModelError, shown
from backend.models.families.family import Family, FrozenNorm, Shape
from backend.models.families.llama import LlamaLike

FAMILIES: tuple[Family, ...] = (LlamaLike(),)

__all__ = ["FAMILIES", "Family", "FrozenNorm", "Shape", "family_of", "known_types"]


def known_types() -> tuple[str, ...]:
    """Every `model_type` that some family serves."""
    return tuple(name for family in FAMILIES for name in family.model_types)


def family_of(model: PreTrainedModel) -> Family:
    """The family of a model. Raises ModelError naming the model's type and the known ones."""
    model_type = model.config.model_type
    for family in FAMILIES:
        if model_type in family.model_types:
            return family
    raise ModelError(
        f"Models of type {shown(model_type)} are not supported. Supported: {', '.join(known_types())}."
    )
