"""Quantizations of a model's linear layers, all by bitsandbytes: their size, and their transformers config.

8bit is LLM.int8 (Dettmers et al. 2022, arXiv 2208.07339). nf4 and double quantization, where the scales are quantized
too, are QLoRA's (Dettmers et al. 2023, arXiv 2305.14314); fp4 is a 4-bit float. Computations run in the dtype of the
model spec.
"""

import logging
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from backend.contract.errors import ModelError, shown

if TYPE_CHECKING:
    import torch
    import transformers

# Bytes per weight of a linear layer: its bits, and a float32 scale for each row (8bit, a few thousandths) or for each
# 64 weights (4 bits); double quantization keeps these scales in 8 bits, and a float32 for each 256 of them.
QUANTIZED_BYTES = {
    "8bit": 1.0,
    "4bit": 0.5 + 4 / 64,
    "4bit-double": 0.5 + 1 / 64 + 4 / (64 * 256),
    "fp4": 0.5 + 4 / 64,
}


def bitsandbytes_version() -> str:
    """The installed version. Raises ModelError if bitsandbytes is not installed."""
    try:
        return version("bitsandbytes")
    except PackageNotFoundError as error:
        raise _missing("it is not installed") from error


def bitsandbytes_config(quantization: str, dtype: "torch.dtype") -> "transformers.BitsAndBytesConfig":
    """The config with which transformers quantizes on loading. Raises ModelError if bitsandbytes cannot be imported."""
    try:
        import bitsandbytes  # noqa: F401  # transformers would raise later, with a less clear message
    except (ImportError, OSError, RuntimeError) as error:  # its compiled library may not load either
        raise _missing(shown(str(error), 200)) from error
    import transformers

    # It logs every cast in each forward pass. A result states its quantization anyway.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if quantization == "8bit":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="fp4" if quantization == "fp4" else "nf4",
        bnb_4bit_use_double_quant=quantization == "4bit-double",
        bnb_4bit_compute_dtype=dtype,
    )


def _missing(reason: str) -> ModelError:
    return ModelError(
        f"Quantization needs the package bitsandbytes, which cannot be used here: {reason}. "
        "Install it (pip install bitsandbytes), or choose quantization none."
    )
