"""Read the headers of a model folder's safetensors files: number of parameters, and whether a file is truncated."""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

from backend.contract.errors import ModelError
from backend.models.config import path_shown
from backend.models.quantization import QUANTIZED_BYTES

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MAX_HEADER = 100_000_000  # the format's own limit
BYTES_OF = {"float32": 4, "bfloat16": 2, "float16": 2}
# bitsandbytes leaves these in the compute dtype.
NEVER_QUANTIZED = ("embed", "wte", "wpe", "lm_head")


@dataclass(frozen=True)
class Weights:
    """The weight files, their numbers of parameters and of tensors, and how many parameters are in linear layers
    (quantizable).
    """

    files: tuple[Path, ...]
    parameters: int
    linear: int
    tensors: int = 0

    def bytes_as(self, dtype: str, quantization: str) -> int:
        """Bytes of the weights in memory, loaded as `dtype` with `quantization`."""
        if quantization == "none":
            return self.parameters * BYTES_OF[dtype]
        unquantized = (self.parameters - self.linear) * BYTES_OF[dtype]
        return unquantized + int(self.linear * QUANTIZED_BYTES[quantization])


def read_weights(folder: Path) -> Weights:
    """Read the headers of a folder's safetensors files (a few milliseconds).

    Raises ModelError if a file is missing, truncated or not safetensors.
    """
    files = weight_files(folder)
    parameters = linear = tensors = 0
    for file in files:
        for name, shape in _header(file).items():
            size = prod(shape)
            parameters += size
            tensors += 1
            if len(shape) == 2 and not any(part in name for part in NEVER_QUANTIZED):
                linear += size
    return Weights(files, parameters, linear, tensors)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The folder's safetensors files, as its index names them. Raises ModelError if there are none."""
    index = folder / INDEX
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    if not index.is_file():
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        reason = f"only {pickled[0]}, a pickle, which can run code when it is read" if pickled else "none"
        raise ModelError(
            f"{path_shown(folder)} needs its weights as {SINGLE} (or shards with {INDEX}); it has {reason}. "
            "Save the model as safetensors."
        )
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"{path_shown(index)} is damaged. Fetch the model again.") from error
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise ModelError(
            f"{path_shown(index)} names no files, or files outside its folder. Fetch the model again."
        )
    return tuple(folder / name for name in names)


def _header(file: Path) -> dict[str, list[int]]:
    """Name and shape of each tensor. Raises ModelError if the file's length differs from what its header says."""
    if not file.is_file():
        raise ModelError(f"The weights file {path_shown(file)} is missing. Fetch the model again.")
    size = file.stat().st_size
    try:
        with file.open("rb") as content:
            (length,) = struct.unpack("<Q", content.read(8))
            if length > MAX_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(content.read(length))
        header.pop("__metadata__", None)
        needed = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        shapes = {name: entry["shape"] for name, entry in header.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"The weights file {path_shown(file)} is not safetensors, or is damaged. Fetch the model again."
        ) from error
    if size != needed:
        raise ModelError(
            f"The weights file {path_shown(file)} has {size} bytes and should have {needed}: "
            "it is cut short or damaged. Fetch the model again (scripts/fetch-model)."
        )
    return shapes
