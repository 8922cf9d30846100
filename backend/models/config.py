"""Check a model folder's config.json before transformers reads it."""

import json
from pathlib import Path
from typing import Any

from backend.contract.errors import ModelError, shown

# The class name of a language model contains one of these.
CONTINUING = ("CausalLM", "LMHead", "ConditionalGeneration")


def path_shown(path: Path | None) -> str:
    """A path for a message. It is not shortened like other values: its end matters most."""
    return shown(str(path), limit=500)


def check_config(folder: Path) -> None:
    """Refuse a folder whose config shows that the model cannot be analysed, before anything is loaded.

    Raises ModelError if there is no readable config, its weights are quantized already, or it is not a language model
    that continues a text.
    """
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path_shown(folder)} has no config.json, so it is not a model's folder."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path_shown(file)} cannot be read. Fetch the model again.") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelError(f"{path_shown(file)} names no model_type, so the model is not known.")
    if quantized := config.get("quantization_config"):
        method = quantized.get("quant_method") if isinstance(quantized, dict) else quantized
        raise ModelError(
            f"The weights in {path_shown(folder)} are quantized already (quantization_config in config.json: "
            f"{shown(method)}). Use the original weights, and choose a quantization here."
        )
    _check_kind(folder, config)


def _check_kind(folder: Path, config: dict[str, Any]) -> None:
    classes = config.get("architectures") or []
    named = ", ".join(map(str, classes)) if isinstance(classes, list) else str(classes)
    if config.get("is_encoder_decoder") or (named and not any(kind in named for kind in CONTINUING)):
        raise ModelError(
            f"{path_shown(folder)} holds a model of type {shown(config['model_type'])} "
            f"({named or 'encoder and decoder'}), which does not go on with a text, as an encoder or a vision model "
            "does not. Use a decoder for text (architectures in config.json: ...ForCausalLM)."
        )
