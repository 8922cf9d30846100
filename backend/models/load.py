"""A model in memory: the Hugging Face model as published, its tokenizer, and how it is held."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import ModelError, shown
from backend.models.config import path_shown
from backend.models.disk import read_ahead
from backend.models.fetch import fetch
from backend.models.memory import is_out_of_memory, return_freed
from backend.models.quantization import bitsandbytes_config
from backend.models.resolve import Resolved, resolve
from backend.models.room import WORKING_BYTES, check_memory, room_for, too_large
from backend.models.weights import weight_files
from backend.progress import Progress, silent
from backend.results.request import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

HERE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
# Constants that older versions of transformers saved among the weights, and that no model reads any more.
LEFTOVERS = re.compile(r"attn\.masked_bias$|(^|\.)decoder\.version$")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run: in eval mode, no parameter with a gradient."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
    resolved: Resolved


def load(spec: ModelSpec, progress: Progress = silent) -> LoadedModel:
    """Fetch the model where it is not here yet, and load it.

    Raises ModelError (damaged, not supported), DownloadError, ResourceError (too little memory), and what
    `progress` raises.
    """
    resolved = resolve(spec)
    if resolved.folder is None:
        resolved = fetch(spec, progress)
    assert resolved.folder is not None  # fetch made it
    check_memory(resolved)
    read_ahead(weight_files(resolved.folder), progress, f"Loading {resolved.name}")
    import torch  # seconds to import, and not needed to say that there is no such model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from backend.models.quiet import quiet

    with quiet():
        read_config(resolved)  # first, so that nothing else is blamed for it
        tokenizer = _read(resolved, "its tokenizer", AutoTokenizer, **HERE)
        model, report = _read(
            resolved,
            "its weights",
            AutoModelForCausalLM,
            **HERE,
            dtype=getattr(torch, resolved.dtype),
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # told in `_check_fit`, which names them
            output_loading_info=True,
            **_placement(resolved),
        )
    _check_fit(resolved, report)
    if not tokenizer.is_fast:
        raise ModelError(
            f"{shown(resolved.name)} has no tokenizer.json, which is needed to place tokens in the text."
        )
    model.eval().requires_grad_(False)
    for module in model.modules():
        # On some processors bitsandbytes would repack 4-bit weights at the first forward pass: with coarser scales,
        # into a layout that nothing can read back, and only where the width is a multiple of 64.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return_freed(resolved.device)
    return LoadedModel(model, tokenizer, resolved)


def read_config(resolved: Resolved) -> Any:
    """What transformers makes of the config of a model that is here. Raises ModelError."""
    from transformers import AutoConfig

    from backend.models.quiet import quiet

    with quiet():
        return _read(resolved, "its config", AutoConfig, **HERE)


def release(loaded: LoadedModel) -> None:
    """Give the model's memory back: it is taken apart and cannot run again."""
    for name, _ in list(loaded.model.named_children()):
        delattr(loaded.model, name)
    return_freed(loaded.resolved.device)


def _read(resolved: Resolved, what: str, reader: Any, **settings: Any) -> Any:
    """What one of transformers' classes makes of the folder. It checks little: a bad config may raise anything."""
    try:
        return reader.from_pretrained(resolved.folder, **settings)
    except Exception as error:
        if is_out_of_memory(error):
            raise too_large(resolved, room_for(resolved)) from error
        told = str(error).partition(" For details")[0]  # they stand in a report that is not shown
        reason = " ".join(f"{type(error).__name__}: {told}".split())
        raise unusable(resolved, f"{what} cannot be read ({shown(reason, 300)})") from error


def _check_fit(resolved: Resolved, report: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of the config: transformers would go on with random ones, or without some."""
    if mismatched := sorted(report["mismatched_keys"]):
        name, found, wanted = mismatched[0]
        raise unusable(
            resolved,
            f"{len(mismatched)} weights have other sizes than the config says, the first {name}: "
            f"{list(found)} in the file, {list(wanted)} by the config",
        )
    for keys, what in (
        ("missing_keys", "are missing"),
        ("unexpected_keys", "have no place in the model of its config"),
    ):
        if names := sorted(name for name in report[keys] if not LEFTOVERS.search(name)):
            raise unusable(resolved, f"{len(names)} weights {what}, the first {names[0]}")


def unusable(resolved: Resolved, reason: str) -> ModelError:
    """The error that says why a folder's model cannot be loaded."""
    where = "" if resolved.name == str(resolved.folder) else f" from {path_shown(resolved.folder)}"
    return ModelError(
        f"{path_shown(Path(resolved.name))} cannot be loaded{where}: {reason}. "
        "Fetch the model again, or choose another."
    )


def _placement(resolved: Resolved) -> dict[str, Any]:
    """Keyword arguments that put the weights on their device and quantize them on the way."""
    # Without a device map the weights on the processor stay views of the mapped files: no copy in float32.
    if resolved.device == "cpu" and resolved.quantization == "none":
        return {}
    from backend.models.placement import device_map

    placement = device_map(resolved.device, resolved.weight_bytes + WORKING_BYTES, WORKING_BYTES)
    if resolved.quantization == "none":
        return placement
    import torch

    return {
        **placement,
        "quantization_config": bitsandbytes_config(resolved.quantization, getattr(torch, resolved.dtype)),
    }
