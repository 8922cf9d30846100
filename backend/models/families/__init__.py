"""The registry of architecture families. A new one is a new file here and one line in `FAMILIES`."""

from typing import Any

from transformers import PreTrainedModel

from backend.contract.errors import ModelError, shown
from backend.models.families.by_structure import ByStructure
from backend.models.families.cohere import Cohere
from backend.models.families.exaone import Exaone4
from backend.models.families.falcon import Falcon
from backend.models.families.family import Family, Shape
from backend.models.families.gemma import Gemma2, Gemma3
from backend.models.families.glm import Glm4
from backend.models.families.gpt2 import GPT2
from backend.models.families.gpt_neox import GPTNeoX
from backend.models.families.gptj import GPTJ
from backend.models.families.granite import Granite
from backend.models.families.llama import LlamaLike, Qwen3
from backend.models.families.norm import FrozenNorm, Norm
from backend.models.families.olmo import Olmo, Olmo2
from backend.models.families.opt import OPT
from backend.models.families.phi import Phi, Phi3
from backend.models.families.slot import Slot
from backend.models.families.stablelm import StableLM

FAMILIES: tuple[Family, ...] = (
    LlamaLike(),
    Qwen3(),
    Gemma2(),
    Gemma3(),
    Granite(),
    Phi(),
    Phi3(),
    Olmo(),
    Olmo2(),
    Exaone4(),
    Glm4(),
    Cohere(),
    StableLM(),
    GPT2(),
    GPTNeoX(),
    GPTJ(),
    Falcon(),
    OPT(),
)

__all__ = [
    "FAMILIES",
    "Family",
    "FrozenNorm",
    "Norm",
    "Shape",
    "Slot",
    "family_of",
    "known_types",
    "listed_family",
]


def known_types() -> tuple[str, ...]:
    """Every `model_type` that some family serves."""
    return tuple(name for family in FAMILIES for name in family.model_types)


def listed_family(config: Any) -> Family | None:
    """The family of a config, if it is listed. Raises ModelError for what that does not serve."""
    for family in FAMILIES:
        if config.model_type in family.model_types:
            family.check(config)
            return family
    return None


def family_of(model: PreTrainedModel) -> Family:
    """The family of a model; one that is not listed is tried by structure (see `by_structure.py`).

    Raises ModelError for what a listed family does not serve, or naming what was not found and the listed types.
    """
    family = listed_family(model.config)
    if family is not None:
        return family
    try:
        return ByStructure(model)
    except ModelError as error:
        raise ModelError(f"{error} Supported: {', '.join(known_types())}.") from error
    except Exception as error:  # the border: this is code of another's, tried for the first time
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(
            f"Models of type {shown(model.config.model_type)} are not known, and by its structure this one cannot be "
            f"used: {shown(reason, 200)}. Supported: {', '.join(known_types())}."
        ) from error
